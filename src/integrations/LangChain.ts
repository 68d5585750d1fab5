export { GovernanceCallbackHandler, type HandlerOptions } from "./LangChainHandler.ts"
export { type MiddlewareOptions, middleware } from "./LangChainMiddleware.ts"
export { govern, governWith } from "./LangChainModel.ts"
