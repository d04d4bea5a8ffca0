/**
 * Node's HTTP without its ES module: `import … from 'node:http'` evaluates every export, WebSocket among them, and so loads a whole
 * second HTTP client (undici): 10 MB of every process that never uses it.
 */
export const { Agent, createServer, request } = process.getBuiltinModule('node:http');
