export { Client, Feed, RunTimeout, type ClientOptions, type FeedOptions, type RunOptions } from "./client.js";
export { ApiError, ConnectionFailed, isCode, type Code, type Problem } from "./errors.js";
export { parseJson, stringifyJson, type Json } from "./json.js";
export { WebhookInvalid, verifyWebhook } from "./webhooks.js";
export type { components, operations, paths } from "./types.js";
