/** A piece of a text, from `start` up to but without `end`. */
export interface Piece {
  readonly start: number
  readonly end: number
}

/**
 * What is a secret by its look alone: key prefixes, tokens, DSNs, bearer values, private keys (OTL-02). Every pattern fails
 * within a bounded number of characters and takes what it matches, so the search is linear in the text (R-07).
 */
export const secretShapes = (text: string): ReadonlyArray<Piece> => {
  const found: Array<Piece> = []
  for (const shape of shapes) {
    for (const match of text.matchAll(shape)) found.push({ start: match.index, end: match.index + match[0].length })
  }
  return text.includes("-----BEGIN") || text.includes("PuTTY-User-Key-File") ? [...found, ...privateKeys(text)] : found
}

/** From the first line of a private key to its last; to the end of the text when that is missing. */
const privateKeys = (text: string): ReadonlyArray<Piece> => {
  const found: Array<Piece> = []
  let done = 0
  for (const { index } of text.matchAll(privateKey)) {
    if (index < done) continue
    const end = text.indexOf("-----END", index)
    const close = end < 0 ? -1 : text.indexOf("-----", end + 8)
    done = close < 0 ? text.length : close + 5
    found.push({ start: index, end: done })
  }
  return found
}

const privateKey = /-----BEGIN[ +](?:[A-Z0-9]{1,12}[ +]){0,4}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----|PuTTY-User-Key-File-\d/g

// Prefixes as their issuers document them. What follows a prefix is long enough that no word of a language does.
const prefixes: ReadonlyArray<string> = [
  // Models and their hosts.
  "sk-[A-Za-z0-9_-]{16,}",
  "(?:xai|gsk|pplx|nvapi|r8|hf|fw|csk|tgp_v1|jina|voy|pa|ls[v_]2_pt|ls[v_]2_sk|pul)[_-](?=[A-Za-z0-9_-]{0,64}\\d)[A-Za-z0-9_-]{20,}",
  // Code hosts, registries, chat.
  "gh[pousr]_[A-Za-z0-9]{16,}",
  "github_pat_[A-Za-z0-9_]{20,}",
  "gl(?:pat|dt|rt|ptt|oas|soat|ft|agent|cbt|imt)-[A-Za-z0-9_-]{16,}",
  "(?:npm|pnpm)_[A-Za-z0-9]{30,}",
  "pypi-[A-Za-z0-9_-]{16,}",
  "rubygems_[0-9a-f]{32,}",
  "dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,}",
  "(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}",
  "\\d{8,10}:[A-Za-z0-9_-]{30,}",
  "[MNO][A-Za-z0-9_-]{23,27}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27,}",
  // Clouds and platforms.
  "(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}",
  "AIza[A-Za-z0-9_-]{30,}",
  "ya29\\.[A-Za-z0-9_.-]{16,}",
  "GOCSPX-[A-Za-z0-9_-]{16,}",
  "1//0[A-Za-z0-9_-]{20,}",
  "do[opr]_v1_[0-9a-f]{32,}",
  "dapi[0-9a-f]{32}",
  "dp\\.(?:pt|st|ct|sa|scim|audit)\\.[A-Za-z0-9._-]{20,}",
  "(?:hv[sbr]|s)\\.(?=[A-Za-z0-9_-]{0,64}\\d)[A-Za-z0-9_-]{24,}",
  "[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_-]{20,}",
  "tskey-[a-z]{2,12}-[A-Za-z0-9-]{12,}",
  "fo1_[A-Za-z0-9_-]{20,}",
  "FlyV1 [A-Za-z0-9_,+/=-]{20,}",
  "(?:rnd|sbp|sb_secret|vercel|vc[kpa])_[A-Za-z0-9_-]{20,}",
  "[A-Za-z0-9_~.-]{3}\\dQ~[A-Za-z0-9_~.-]{31,}",
  // Money, mail, monitoring, teams.
  "(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
  "whsec_[A-Za-z0-9+/=]{16,}",
  "sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{20,}",
  "shp(?:at|ss|ca|pa|tka)_[A-Fa-f0-9]{20,}",
  "access_token\\$(?:production|sandbox)\\$[a-z0-9]{10,}\\$[0-9a-f]{20,}",
  "SG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}",
  "(?:key|pubkey)-[0-9a-f]{32}",
  "xkeysib-[0-9a-f]{32,}[A-Za-z0-9-]*",
  "re_[A-Za-z0-9]{6,}_[A-Za-z0-9]{16,}",
  "[0-9a-f]{32}-us\\d{1,2}",
  "(?:SK|AC)[0-9a-f]{32}",
  "gl(?:sa|c)_[A-Za-z0-9+/_=]{20,}",
  "sntry[su]_[A-Za-z0-9+/_=-]{20,}",
  "NRAK-[A-Z0-9]{20,}",
  "PMAK-[0-9a-f]{20,}[0-9a-f-]*",
  "ph[cx]_[A-Za-z0-9]{30,}",
  "lin_(?:api|oauth)_[A-Za-z0-9]{20,}",
  "(?:ntn|secret)_[A-Za-z0-9]{30,}",
  "fig[dou]_[A-Za-z0-9_-]{20,}",
  "AT(?:ATT|CTT|BB)[A-Za-z0-9_=-]{20,}",
  "pat[A-Za-z0-9]{14}\\.[0-9a-f]{40,}",
  "ops_eyJ[A-Za-z0-9+/_=-]{20,}",
  "(?:AGE-SECRET-KEY-1|age-secret-key-1)[A-Za-z0-9]{20,}",
  "EAA[A-Za-z0-9]{30,}",
  // Ours: ingest tokens and approvals of version 1 and 2.
  "wf_[A-Za-z0-9_-]{12,}",
  "v2:[0-9a-f]{16}:[0-9a-f]{8}-[0-9a-fTZ:.-]{100,260}",
  "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{64}:[0-9TZ:.-]{20,30}:[0-9a-f]{64}"
]

const schemes =
  "postgres(?:ql)?|mysqlx?|mariadb|mongodb(?:\\+srv)?|rediss?|valkeys?|amqps?|mssql|sqlserver|oracle|clickhouse|cockroachdb|couchbases?|neo4j(?:\\+s(?:sc)?)?|bolt|jdbc:[a-z]{2,12}|ldaps?|smtps?|nats|kafka"

const shapes: ReadonlyArray<RegExp> = [
  new RegExp(`(?<![A-Za-z0-9])(?:${prefixes.join("|")})`, "g"),
  new RegExp(`(?<![A-Za-z0-9])(?:${schemes})(?:\\+[a-z]{2,12})?://[^\\s"'<>\`]+`, "gi"),
  // A JSON web token or any other signed or bare JSON in base64url: `{"` is `eyJ`.
  /(?<![A-Za-z0-9_-])ey[JI][A-Za-z0-9_-]{13,}(?:\.[A-Za-z0-9_-]{0,8192}){0,4}/g,
  /(?<![A-Za-z0-9])(?:[Bb]earer|BEARER|[Bb]asic|BASIC|[Dd]igest|[Aa]pi[Kk]ey|[Nn]egotiate|NTLM|AWS4-HMAC-SHA256)(?:[ +]|: ?)(?=[^\s"'<>,;]{0,128}(?:[\d=]|[a-z][A-Z]))[A-Za-z0-9._~+/=:%-]{8,}/g,
  /(?<![A-Za-z0-9])hooks\.slack(?:-gov)?\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9/_-]{10,}/g,
  /(?<![A-Za-z0-9])discord(?:app)?\.com\/api\/webhooks\/[A-Za-z0-9/_-]{10,}/g,
  /(?<![A-Za-z0-9])[a-z0-9.-]{1,64}\.webhook\.office\.com\/[^\s"'<>]{10,}/g,
  /(?<![A-Za-z0-9])(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^\s;"'<>]{8,}/gi,
  /\$(?:2[abxy]|argon2(?:id|i|d)|scrypt|[156y])\$[A-Za-z0-9./$,=+-]{20,}/g,
  /(?<!\S)(?:-u|--user)[ =](?!\d{1,9}:\d{1,9}(?!\S))[^\s:"']{1,64}:[^\s"']{1,256}/g,
  // `password hunter2`, as in a .netrc: what follows holds letters and digits, as no word does.
  /(?<=(?<![\w.$-])(?:[Pp]assword|PASSWORD|[Pp]asswd|[Pp]assphrase|[Pp]asswort)[ \t]{1,3})(?=\S{0,64}\d)(?=\S{0,64}[A-Za-z])[^\s,;"'<>`]{6,}/g,
  /\b(?:identified by|password) ['"][^'"\n]{1,256}['"]/gi
]
