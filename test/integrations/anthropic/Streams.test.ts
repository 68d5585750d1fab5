import { streamCases } from "../StreamCases.ts"
import { clientOf, messages, model, price } from "./Client.ts"

const most = 200

streamCases({
  name: "messages.create",
  price,
  before: 3,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).messages.create({ model, messages, max_tokens: maxTokens, stream: true }, { signal })
})

streamCases({
  name: "beta.messages.create",
  price,
  before: 3,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).beta.messages.create({ model, messages, max_tokens: maxTokens, stream: true }, { signal })
})

streamCases({
  name: "messages.stream",
  price,
  before: 3,
  readsItself: true,
  needsUsage: true,
  open: (world, { signal, maxTokens = most } = {}) =>
    clientOf(world).messages.stream({ model, messages, max_tokens: maxTokens }, { signal })
})
