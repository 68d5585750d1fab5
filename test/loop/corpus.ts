/**
 * Traces of tool calls that a person has labelled: does the agent run in a circle at some point, or does it make progress?
 * Written to be hard: loops that no rule over hashes can see, and honest work that looks like a loop, are in it as well.
 */
export interface Trace {
  readonly name: string
  readonly steps: ReadonlyArray<Step>
}

/** `result` null: the call failed without one, or nobody reported it. */
export interface Step {
  readonly tool: string
  readonly args: string
  readonly result: string | null
}

/** `tool args -> result`, one call a line; `-> -` has no result. */
const trace = (name: string, text: string): Trace => ({
  name,
  steps: text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const [, tool = "", args = "", result = ""] = /^(\S+)\s*(.*?)\s*->\s*(.*)$/.exec(line) ?? []
      return { tool, args, result: result === "-" ? null : result }
    })
})

/** The lines again and again; `#` is the number of the round. */
const times = (rounds: number, lines: string) =>
  Array.from({ length: rounds }, (_, round) => lines.replaceAll("#", String(round + 1))).join("\n")

export const loops: ReadonlyArray<Trace> = [
  trace("searches the same words again and again", times(6, "web.search q=effect+docs -> 10 hits")),
  trace(
    "retries a call that always fails with the same error",
    times(8, "http.get url=/v1/users -> 500 internal error")
  ),
  trace("retries a call that fails without any result", times(6, "http.get url=/v1/users -> -")),
  trace(
    "reads one file over and over",
    `fs.list dir=src -> a.ts b.ts\n${times(5, "fs.read path=src/a.ts -> 120 lines")}`
  ),
  trace("lists an empty directory as if it would fill", times(7, "fs.list dir=out -> empty")),
  trace("asks the database the same question", times(5, "sql.query select=count(*) from orders -> 42")),
  trace("runs the failing tests without changing anything", times(5, "shell.run cmd=npm+test -> 3 failed")),
  trace(
    "goes back and forth between two pages",
    times(5, "browser.open url=/a -> page a\nbrowser.open url=/b -> page b")
  ),
  trace(
    "searches and opens the same first hit",
    times(5, "web.search q=price -> 3 hits\nweb.open id=1 -> no price here")
  ),
  trace("writes a file and reverts it", times(5, "fs.write path=a.ts text=x -> ok\ngit.checkout path=a.ts -> ok")),
  trace("adds and removes the same item of a cart", times(4, "cart.add sku=7 -> 1 item\ncart.remove sku=7 -> 0 items")),
  trace(
    "hands over between two agents that each decline",
    times(6, "agent.ask to=billing -> ask support\nagent.ask to=support -> ask billing")
  ),
  trace("plans, reads the plan, plans the same", times(5, "plan.write text=1..3 -> ok\nplan.read -> 1..3")),
  trace("formats and lints in turn, each undoing the other", times(5, "fmt.run -> 1 changed\nlint.fix -> 1 changed")),
  trace(
    "circles over three tools",
    times(5, "crm.find name=Ann -> none\ncrm.search q=Ann -> none\ncrm.list page=1 -> 20 rows")
  ),
  trace("circles over three pages", times(4, "open p=1 -> one\nopen p=2 -> two\nopen p=3 -> three\n")),
  trace("circles over four tools", times(5, "a.get -> 1\nb.get -> 2\nc.get -> 3\nd.get -> 4")),
  trace(
    "logs in, is refused, logs out, waits",
    times(5, "login user=x -> denied\nwhoami -> nobody\nlogout -> ok\nsleep s=1 -> ok")
  ),
  trace(
    "starts well and then sticks",
    `web.search q=a -> 3 hits\nweb.open id=1 -> text\n${times(5, "web.open id=2 -> timeout")}`
  ),
  trace(
    "sticks after long honest work",
    `${times(15, "fs.read path=f#.ts -> content #")}\n${times(5, "fs.read path=index.ts -> 404")}`
  ),
  trace("sticks in the middle and then moves on", `x.a -> 1\n${times(5, "x.b -> 2")}\nx.c -> 3\nx.d -> 4`),
  trace(
    "some results of the stuck call are missing",
    "q.run s=1 -> r\nq.run s=1 -> -\nq.run s=1 -> r\nq.run s=1 -> -\nq.run s=1 -> r"
  ),
  trace("a circle whose results are partly missing", times(5, "a.get -> -\nb.get -> 2")),
  trace("books, is refused for the same reason, books again", times(5, "flight.book id=HAT012 -> not enough balance")),
  trace("asks for the same user again and again", times(4, "get_user_details id=mia_li_3668 -> {name: Mia}")),
  trace("transfers to a human who never answers", times(6, "transfer_to_human -> queued")),
  trace("repeats a calculation in disbelief", times(6, "calculate e=128*3 -> 384")),
  trace("waits for a job far beyond what polling allows", times(25, "job.status id=1 -> running")),
  trace(
    "tries the same patch on the same file",
    times(5, "patch.apply p=fix1 -> hunk failed\nfs.read path=a.ts -> old text")
  ),
  trace("compiles, reads the error, compiles", times(5, "tsc.run -> 1 error\nfs.read path=a.ts -> 10 lines")),
  trace(
    "two of three calls in each round are the same one",
    times(5, "grep q=foo -> none\ngrep q=foo -> none\ngrep q=bar -> none")
  ),
  trace("thinks the same thought", times(7, "think text=hmm -> ok")),
  trace("sends the same message to a person who is away", times(5, "slack.send to=ann text=ping -> sent")),
  // Beyond any rule over the hashes of the last 32 calls; the count of the loop window is what ends these.
  trace("waits with sleeps, far beyond what polling allows", times(25, "job.status id=1 -> running\nsleep s=5 -> ok")),
  trace("says the same in other words each time", times(9, "web.search q=how+to+fix+#+the+bug -> 0 hits")),
  trace("circles over five tools", times(6, "t.a -> 1\nt.b -> 2\nt.c -> 3\nt.d -> 4\nt.e -> 5"))
]

export const progress: ReadonlyArray<Trace> = [
  trace("reads many files", times(20, "fs.read path=f#.ts -> content #")),
  trace("pages through a list", times(25, "api.list page=# -> rows #")),
  trace("follows a cursor that is not in the arguments", times(12, "api.next -> rows #")),
  trace("polls a job that moves on", times(12, "job.status id=1 -> # of 12")),
  trace(
    "polls a queued job within the allowance",
    `${times(15, "job.status id=1 -> running")}\njob.status id=1 -> done`
  ),
  trace(
    "polls with sleeps within the allowance",
    `${times(12, "job.status id=1 -> running\nsleep s=5 -> ok")}\njob.result id=1 -> 42`
  ),
  trace(
    "edits and tests until it passes",
    times(8, "fs.edit path=a.ts text=try# -> ok\nshell.run cmd=npm+test -> # passed")
  ),
  trace(
    "edits with other text, tests fail alike",
    times(6, "fs.edit path=a.ts text=try# -> ok\nshell.run cmd=npm+test -> 3 failed")
  ),
  trace(
    "retries twice and succeeds",
    "http.get url=/x -> 503\nhttp.get url=/x -> 503\nhttp.get url=/x -> 200 ok\nhttp.get url=/y -> 200 ok"
  ),
  trace("retries with growing delay", times(5, "sleep s=# -> ok\nhttp.get url=/x -> 503")),
  trace("looks at the clock now and then", times(10, "work.do part=# -> ok #\nclock.now -> 10:0#")),
  trace("looks at a counter that grows", times(15, "metrics.get name=requests -> #")),
  trace("searches different words", times(10, "web.search q=topic# -> hits #")),
  trace("alternates between two tools with new arguments", times(12, "web.search q=t# -> h#\nweb.open id=# -> page #")),
  trace("alternates between two tools with new results", times(12, "inbox.next -> mail #\ninbox.mark_read -> # read")),
  trace(
    "three tools a customer, many customers",
    times(8, "crm.get id=# -> c#\nbill.get id=# -> b#\nmail.send to=# -> ok")
  ),
  trace(
    "checks the state before each step",
    times(3, "git.status -> clean\ngit.checkout b=# -> ok\ngit.status -> clean")
  ),
  trace("commits several times", times(7, "fs.write path=f# -> ok\ngit.commit m=# -> sha #")),
  trace("undo and redo of different edits", times(6, "edit.undo -> v#\nedit.redo -> w#")),
  trace("a game of alternating moves", times(10, "move.white m=e# -> board #\nmove.black m=d# -> board #b")),
  trace("dice", "dice.roll -> 3\ndice.roll -> 5\ndice.roll -> 1\ndice.roll -> 6\ndice.roll -> 2\ndice.roll -> 4"),
  trace(
    "random sampling with a repeated value",
    "dice.roll -> 3\ndice.roll -> 3\ndice.roll -> 5\ndice.roll -> 5\ndice.roll -> 2"
  ),
  trace(
    "two rounds of a circle, then another way",
    `${times(2, "a.get -> 1\nb.get -> 2\nc.get -> 3")}\nd.get -> 4\ne.get -> 5`
  ),
  trace("three rounds of back and forth, then done", `${times(3, "page.a -> 1\npage.b -> 2")}\npage.c -> 3`),
  trace(
    "reads the same file three times in a long task",
    times(3, "fs.read path=a.ts -> x\nfs.read path=b#.ts -> y#\ntsc.run -> ok #")
  ),
  trace("confirms twice before it pays", "cart.get -> 3 items\ncart.get -> 3 items\npay.do -> ok"),
  trace(
    "looks up a user in several conversations",
    times(5, "get_user_details id=u# -> name #\nget_reservation id=r# -> flight #")
  ),
  trace("searches flights day by day", times(14, "search_direct_flight from=JFK to=SEA date=05-# -> flights #")),
  trace("many calculations", times(10, "calculate e=#*3 -> #")),
  trace("thinks between its steps", times(8, "think text=step# -> ok\ndo.step n=# -> ok")),
  trace("streams a log", times(30, "log.tail -> line #")),
  trace(
    "waits for a person within the allowance",
    `${times(10, "approval.get id=1 -> pending")}\napproval.get id=1 -> granted`
  ),
  trace("tries each of several servers, all down", times(6, "ping host=h# -> timeout")),
  trace("renews a lease that answers with a new end", times(10, "lease.renew id=1 -> until #")),
  // Honest work that no rule over hashes can tell from a loop.
  trace(
    "waits for the same door to open, polling undeclared",
    `${times(6, "door.state -> closed")}\ndoor.state -> open`
  ),
  trace("sends the same greeting to four visitors", times(4, "display.show text=welcome -> ok"))
]
