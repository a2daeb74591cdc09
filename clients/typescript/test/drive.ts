// Drives a running platform through the client; tells what it saw as one line of JSON. Usage: node drive.js BASE_URL API_KEY
import { pages, ProblemError, voicePlatform, type Schema } from "../src/index.js";

const [baseUrl, apiKey] = process.argv.slice(2);
if (!baseUrl || !apiKey) throw new Error("usage: drive.js BASE_URL API_KEY");
const api = voicePlatform({ baseUrl, apiKey });

const script: Schema<"LanguageModelChoiceInput"> = {
  model: "local/script",
  options: { rules: [{ when: "name", say: "Your name is {{name}}." }], otherwise: "Pardon?" },
};
const made = await api.POST("/v1/assistants", { body: { name: "From TypeScript", llm: script }, params: { header: { "Idempotency-Key": "ts-1" } } });
const again = await api.POST("/v1/assistants", { body: { name: "From TypeScript", llm: script }, params: { header: { "Idempotency-Key": "ts-1" } } });
const id = made.data!.id;

const etag = made.response.headers.get("etag")!;
const changed = await api.PATCH("/v1/assistants/{id}", { params: { path: { id }, header: { "If-Match": etag } }, body: { retention_days: 30 } });
let stale = "";
try {
  await api.PATCH("/v1/assistants/{id}", { params: { path: { id }, header: { "If-Match": etag } }, body: { retention_days: null } });
} catch (e) {
  if (!(e instanceof ProblemError)) throw e;
  stale = `${e.status} ${e.code}`;
}

const session = await api.POST("/v1/sessions", { body: { assistant_id: id, text_only: true, variables: { name: "Ada" } } });
const reply = await api.POST("/v1/sessions/{id}/messages", { params: { path: { id: session.data!.id } }, body: { text: "What is my name?" } });
const ended = await api.POST("/v1/sessions/{id}/end", { params: { path: { id: session.data!.id } } });

const kinds: string[] = [];
for await (const transaction of pages((query) => api.GET("/v1/billing/transactions", { params: { query } }))) kinds.push(transaction.kind);

let refused: readonly string[] = [];
try {
  await api.POST("/v1/webhooks", { body: { url: "ftp://example.com" } });
} catch (e) {
  if (!(e instanceof ProblemError)) throw e;
  refused = e.fields.map((f) => f.field);
}

console.log(
  JSON.stringify({
    replayed: again.response.headers.get("idempotency-replayed") === "true" && again.data!.id === id,
    retention: changed.data!.retention_days,
    stale,
    reply: reply.data!.text,
    status: ended.data!.status,
    cost: ended.data!.cost,
    kinds,
    refused,
  }),
);
