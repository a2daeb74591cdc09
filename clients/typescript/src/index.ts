import createClient, { type Client, type Middleware } from "openapi-fetch";
import type { components, paths } from "./v1.js";

export type { components, operations, paths } from "./v1.js";

/** A schema of the API by its name: `Schema<"Assistant">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

export interface Options {
  /** Where the platform is, as in https://voice.example.com. */
  baseUrl: string;
  /** An API key (lvk_…). */
  apiKey: string;
  /** Another fetch, for tests or proxies. */
  fetch?: typeof globalThis.fetch;
}

/** The platform refused a request; docs/errors.md lists the codes. */
export class ProblemError extends Error {
  /** HTTP's. */
  readonly status: number;
  /** For programs: never renamed. */
  readonly code: string;
  /** What was refused; empty where it is not about a field. */
  readonly fields: ReadonlyArray<Schema<"FieldError">>;
  /** Finds the request in the platform's logs. */
  readonly requestId: string | undefined;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | undefined;

  constructor(response: Response, problem: Partial<Schema<"Problem">>) {
    super(`${problem.detail ?? response.statusText} (${problem.code ?? "unknown"}, ${response.status})`);
    this.name = "ProblemError";
    this.status = response.status;
    this.code = problem.code ?? "unknown";
    this.fields = problem.errors ?? [];
    this.requestId = response.headers.get("x-request-id") ?? undefined;
    const wait = response.headers.get("retry-after");
    this.retryAfter = wait === null ? undefined : Number(wait);
  }
}

/** The API, typed: `await api.POST("/v1/assistants", { body: { name: "Front desk" } })`. A refusal throws ProblemError. */
export function voicePlatform(options: Options): Client<paths> {
  const client = createClient<paths>({
    baseUrl: options.baseUrl,
    headers: { "x-api-key": options.apiKey },
    ...(options.fetch ? { fetch: (request: Request) => options.fetch!(request) } : {}),
  });
  const refusals: Middleware = {
    async onResponse({ response }) {
      if (response.ok) return undefined;
      let problem: Partial<Schema<"Problem">> = {};
      try {
        problem = (await response.json()) as Partial<Schema<"Problem">>;
      } catch {
        // Somebody in between answered; the status is what there is.
      }
      throw new ProblemError(response, problem);
    },
  };
  client.use(refusals);
  return client;
}

/** Walks all pages of a list: `for await (const call of pages((after) => api.GET("/v1/calls", { params: { query: after } })))`. */
export async function* pages<Row>(
  page: (query: { limit: number; starting_after?: string }) => Promise<{ data?: { data: readonly Row[]; next_cursor: string | null } }>,
): AsyncGenerator<Row> {
  let after: string | null | undefined;
  do {
    const { data } = await page(after ? { limit: 100, starting_after: after } : { limit: 100 });
    if (!data) return;
    yield* data.data;
    after = data.next_cursor;
  } while (after);
}
