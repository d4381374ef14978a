// What stands below or above a letter in a formula of the index: h_{t-1}, W^⊤, but not clip_by_norm.
const group = String.raw`\{(?:[^{}]|\{[^{}]*\})*\}`;
export const SCRIPTS = new RegExp(
  String.raw`(?<=[^\s_(])(?:\^(?:${group}|[^\s{}])|_(?:${group}|[\p{L}\p{N}*](?![\p{L}\p{N}_])))`,
  "gu",
);
