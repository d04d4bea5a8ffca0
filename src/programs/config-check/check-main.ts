// Checks what it reads, one JSON object a line, and answers each with what came of it. A process of its own, because the schemas and
// the YAML parser would otherwise take a tenth of every agent's memory for work of a few milliseconds a month.
import { createInterface } from 'node:readline';
import { secretsSchema } from '#domain/config/cluster-description.ts';
import { parseClusterConfig, parseClusterConfigText, parseMemberConfigText, validate } from '#domain/config/parse-config.ts';
import { readDocument } from '#domain/config/read-document.ts';
import { MatriarchError } from '#domain/errors.ts';
import type { CheckAnswer, CheckRequest } from './config-checker.ts';

function check(request: CheckRequest): unknown {
  switch (request.kind) {
    case 'member':
      return parseMemberConfigText(request.text, request.place);
    case 'secrets':
      return validate(secretsSchema, readDocument(request.text, request.place).value, request.place);
    case 'declared':
      return parseClusterConfigText(request.text, request.place);
    case 'cluster':
      return parseClusterConfig(request.value, request.place);
  }
}

function answer(line: string): CheckAnswer {
  const request = JSON.parse(line) as CheckRequest;
  try {
    return { id: request.id, value: check(request) };
  } catch (error) {
    if (error instanceof MatriarchError) return { id: request.id, error: { code: error.code, message: error.message } };
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(answer(line))}\n`);
