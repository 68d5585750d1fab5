/**
 * Whether two ids may name one person: compatibility forms, case, marks, spaces, invisible characters, a plus-alias and
 * look-alike letters make no difference (T-08). Errs on the side of "the same", because it only ever takes rights away.
 */
export const isSamePerson = (a: string, b: string): boolean => skeletonOf(a) === skeletonOf(b)

/** What is left of an id when everything that only looks different is made equal. Never shown, never stored. */
export const skeletonOf = (id: string): string => {
  const plain = id
    .normalize("NFKD")
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[\p{M}\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\s"'\u02b0-\u02ff]/gu, "")
  const [local = "", ...domain] = plain.split("@")
  const alias = local.indexOf("+")
  const name = alias > 0 && domain.length > 0 ? local.slice(0, alias) : local
  return [name, ...domain]
    .join("@")
    .replace(/\.+$/, "")
    .replace(/./gu, (letter) => lookAlikes[letter] ?? letter)
    .replaceAll("rn", "m")
    .replaceAll("vv", "w")
}

// Letters of other scripts that fonts draw as these, after lower-casing, and what is mistaken within ASCII.
const lookAlikes: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    a: "\u0430\u03b1\u0251\u1d00\u0561",
    b: "\u0432\u042c\u044c\u03b2\u0184\u0185\u0299",
    c: "\u0441\u03f2\u1d04\u0481",
    d: "\u0501\u0257\u1d05",
    e: "\u0435\u0454\u03b5\u212e\u1d07\u0451\u04bd",
    f: "\u03dd\u0192",
    g: "\u0261\u0581\u050d",
    h: "\u043d\u04bb\u0570\u029c",
    j: "\u0458\u03f3",
    k: "\u043a\u03ba\u1d0b",
    l: "1i|\u0456\u03b9\u04cf\u0131\u0269\u01c0\u04c0\u05c0",
    m: "\u043c\u03bc\u1d0d",
    n: "\u0578\u057c\u03b7\u0274",
    o: "0\u043e\u03bf\u0585\u1d0f\u00f8\u03c3\u0555",
    p: "\u0440\u03c1\u1d18",
    q: "\u051b\u0563",
    r: "\u0433\u1d26\u0280",
    s: "5$\u0455\ua731\u01bd",
    t: "\u0442\u03c4\u1d1b",
    u: "\u057d\u03c5\u1d1c\u028b",
    v: "\u03bd\u0475\u1d20\u2228",
    w: "\u0461\u051d\u1d21\u03c9",
    x: "\u0445\u03c7\u00d7",
    y: "\u0443\u03b3\u04af\u028f",
    z: "\u1d22\u03b6"
  }).flatMap(([letter, others]) => Array.from(others, (other) => [other, letter]))
)
