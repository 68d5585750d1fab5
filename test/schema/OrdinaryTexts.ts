/** What programs and people say all day, and nobody has to hide: lines that must leave as they are. */
export const ordinary: ReadonlyArray<string> = `
The refund of order A-17 was approved by rita after 12 minutes.
Please reset your password if you did not request this e-mail.
Your password must have at least 12 characters and one digit.
Password: must not be empty
The token has expired, please sign in again.
Unexpected token } in JSON at position 42
SyntaxError: Unexpected token: expected ";"
Invalid API key: missing
The API key is missing.
This secret is kept in a vault, not here.
Secret: required
The secretary called twice about the meeting on Tuesday.
authorization: required
Authorization is checked before every call.
Basic authentication is not supported by this server.
bearer tokens are refused unless TLS is used
tokens: 1234
max_tokens=4096 temperature=0.7
usage: input_tokens=812 output_tokens=96 total_tokens=908
Token count: 12,500 of 128,000
token_type: bearer
the key is under the mat
Key: none
primary key (id), foreign key (order_id) references orders (id)
monkey = donkey
keyboard: us
GET /api/agents/presence 200 in 12 ms
POST https://api.example.com/v1/chat/completions 429 retry after 20 s
https://example.com/docs/page?lang=en&sort=asc&page=2#section-3
https://github.com/example/repo/issues?q=is%3Aopen+label%3Abug
https://example.com/search?code=404&state=open
connect ECONNREFUSED 127.0.0.1:5432
Error: getaddrinfo ENOTFOUND db.internal
at Object.run (/srv/app/node_modules/effect/dist/internal/effect.js:4821:13)
at async Promise.all (index 0)
    at file:///srv/app/src/services/RequireApprovalWithReason.ts:73:21
C:\\Users\\bob\\Documents\\Project Files\\report-final-v2.docx
/usr/local/lib/node_modules/some-package/dist/esm/internal/implementation/index.js
/var/lib/postgresql/18/main/base/16384/2619
import { Effect, Layer } from "effect"
export const layer = Layer.effect(Audit, make)
const total = items.reduce((sum, item) => sum + item.price, 0)
function getElementsByClassNameAndAttribute(document, className) {
SELECT id, created_at FROM orders WHERE status = 'open' ORDER BY created_at DESC LIMIT 50
UPDATE agents SET halted = true WHERE id = 'billing-agent'
INSERT INTO "order_items" ("order_id", "product_id", "quantity") VALUES (17, 42, 3)
2027-01-15T08:00:00.001Z info: 42 rows appended to chain session:order-4711
00000000-0000-4000-8000-000000000001
event 7b0cb3e9-6c0a-4d8e-9d0b-8e1f1a2b3c4d of session 0f8fad5b-d9cb-469f-a165-70867728950e
request_id=7b0cb3e9-6c0a-4d8e-9d0b-8e1f1a2b3c4d
call_Ab12Cd34Ef56Gh78Ij90Kl12
chatcmpl-9nKtzH8dYp2QmVxWc4Rf7LbJs3Ga1
toolu_01A09q90qw90lq917835lq9x
msg_01XFDUDYJgAACzvnptvVoYEL
model gpt-5.4-mini-2026-03-17 answered in 2.4 s
anthropic/claude-opus-4-8-20261001 via bedrock
eu-west-1.compute.internal
my-very-long-service-name-in-production-eu-west-1-blue
billing-agent-7f9c6d5b8-x2x9k
registry.example.com/team/app:2026.11.21-rc.3
commit 3f2a9bc on branch feature/add-retry
sha256 of the file is checked after the download
version 18.4.0-beta.17 (build 20261121.3)
Node v24.18.0, npm 11.4.2, linux x64
phone +49 30 901820, fax 901821
call me at 415-555-0132 after 17:30
IBAN is checked by its check digits
order 4711-2026-000123 total 1,299.00 EUR
invoice 2026/11/000471 due 2026-12-05
lat=52.5200 lon=13.4050 zoom=12
color: #ff8800; margin: 0 auto; width: calc(100% - 2rem)
<div class="card card-primary" id="main">Hello</div>
<p>The quick brown fox jumps over the lazy dog.</p>
{"name":"refund","result":"completed","tokens":"1234","usd":"0.0125"}
{"agentId":"billing","sessionId":"order-4711","tool":"refund"}
{"level":"warn","msg":"slow query","ms":1250,"rows":3}
{"error":{"type":"rate_limit_error","message":"Number of requests has exceeded your limit"}}
- [x] write the test first
1. Open the settings. 2. Choose a theme. 3. Save.
| id | name | amount |
cron: 0 3 * * 1-5
PATH=/usr/local/bin:/usr/bin:/bin
NODE_ENV=production PORT=8080 LOG_LEVEL=info
export EDITOR=vim
docker run --rm -p 8080:80 nginx:1.29
kubectl get pods --namespace staging --watch
git push origin main --force-with-lease
npm install --save-dev vitest typescript
curl -sS -X POST https://example.com/hook --data @body.json
ssh -p 2222 deploy@host.example.com
mailto:support@example.com
bob.smith+news@example.co.uk wrote on Friday
Die Bestellung wurde gestern storniert; das Passwort bleibt gültig.
Le mot de passe a été changé hier soir.
請在三天內回覆這封信。
Спасибо, заказ получен.
Το πακέτο έφτασε χθες το βράδυ.
😀 well done, see you at 5!
Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.
It was the best of times, it was the worst of times.
Refunds above 1000.00 need the approval of a person.
AgentHaltedError: agent billing was halted by rita: looks wrong
BudgetExceeded: needs $0.12; its daily budget has $0.05 left
ScopeViolation: tool "delete_user" is not allowed for agent mail
loop.detected: 5 calls of search in 60 seconds
the retry policy doubles the delay up to one minute
p50=12ms p95=48ms p99=130ms max=402ms
0x1f 0xdeadbeef 0b1010 1e-9 -273.15
1234567890123456
3.14159265358979323846
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
----------------------------------------------------------
==========================================================
ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz
`
  .split("\n")
  .filter((line) => line !== "")
