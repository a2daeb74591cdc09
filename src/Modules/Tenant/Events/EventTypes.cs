namespace VoicePlatform.Tenants.Events;

/// <summary>What a tenant can be told.</summary>
/// <param name="Subject">What its subject_id names.</param>
/// <param name="Example">Its data, as JSON.</param>
internal sealed record EventType(string Name, string Description, string Subject, string Example);

/// <summary>The published catalogue. Names are public API and never change; fields are only added.</summary>
internal static class EventTypes
{
    public const string WebhookTest = "webhook.test";
    public const string WebhookFailing = "webhook.failing";
    public const string WebhookRecovered = "webhook.recovered";
    public const string WebhookDisabled = "webhook.disabled";
    public const string KeyExpiring = "key.expiring";

    private const string Call =
        """
        {"id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","status":"STATUS","direction":"outbound","assistant_id":"ast01k0z5kq1rf0v9d1m3b7c5e8gj","assistant_version":3,"trunk_id":"trk01k0z5kw2te6g9b3n7c5d1f4hm","from_number":"+15550100","to_number":"+15550177","test":false,"created_at":"2026-03-01T09:00:00.000Z","attempts":1,"metadata":{"order":"4711"},"variables":{}
        """;

    public static readonly IReadOnlyList<EventType> All =
    [
        new("session.completed", "A conversation is over, by browser, text or telephone: transcript, usage and cost.", "session",
            """{"session_id":"ses01k0z5n1w2b4d6f8h0j2m4p6r8","assistant_id":"ast01k0z5kq1rf0v9d1m3b7c5e8gj","assistant_version":3,"channel":"voice","created_at":"2026-03-01T09:00:00.000Z","started_at":"2026-03-01T09:00:01.200Z","ended_at":"2026-03-01T09:02:31.700Z","duration_s":150.5,"ended_reason":"user_ended","metadata":{},"transcript":[{"speaker":"agent","text":"Hello!","started_at":"2026-03-01T09:00:01.400Z","ended_at":"2026-03-01T09:00:02.100Z","interrupted":false,"turn":0}],"usage":[],"cost":{"amount":125000,"unit":"micro_credit","transaction_id":"txn01k0z5r8s7t6v5w4x3y2z1a0bc","lines":[]}}"""),
        new("call.queued", "A call waits to be dialled.", "call", Call.Replace("STATUS", "queued", StringComparison.Ordinal) + "}"),
        new("call.answered", "Somebody, or something, took the call.", "call", Call.Replace("STATUS", "in_progress", StringComparison.Ordinal) + ""","answered_at":"2026-03-01T09:00:07.000Z"}"""),
        new("call.completed", "The call is over, however it ended; the outcome is in status, cause and fault.", "call",
            Call.Replace("STATUS", "completed", StringComparison.Ordinal) + ""","answered_at":"2026-03-01T09:00:07.000Z","ended_at":"2026-03-01T09:01:37.000Z","duration_s":90.0,"billable_s":90,"transcript":[],"usage":[],"cost":{"amount":150000,"unit":"micro_credit","lines":[]}}"""),
        new("call.adjusted", "More use of a call became known after its end, and was charged.", "call",
            """{"call_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","adjustment":{"amount":1200,"unit":"micro_credit","transaction_id":"txn01k0z5r8s7t6v5w4x3y2z1a0bc","lines":[]},"cost":{"amount":151200,"unit":"micro_credit"}}"""),
        new("session.adjusted", "More use of a conversation became known after its end, and was charged.", "session",
            """{"session_id":"ses01k0z5n1w2b4d6f8h0j2m4p6r8","adjustment":{"amount":1200,"unit":"micro_credit","transaction_id":"txn01k0z5r8s7t6v5w4x3y2z1a0bc","lines":[]}}"""),
        new("billing.difference", "The ledger and a conversation do not agree; the operator knows of it too.", "call or session",
            """{"what":"cost_differs","subject_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","charged":150000,"cost":151200,"unit":"micro_credit"}"""),
        new("recording.ready", "The recording of a call can be fetched.", "call",
            """{"call_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","recording":{"url":"https://voice.example.com/recordings/…","status":"ready","duration_s":88.2,"size":412345},"error":null}"""),
        new("recording.failed", "A call could not be recorded, and why.", "call",
            """{"call_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","recording":{"url":"https://voice.example.com/recordings/…","status":"failed"},"error":"The storage did not answer."}"""),
        new("analysis.ready", "What was found out about a call or conversation when it was over.", "call or session",
            """{"session_id":"ses01k0z5n1w2b4d6f8h0j2m4p6r8","call_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","assistant_id":"ast01k0z5kq1rf0v9d1m3b7c5e8gj","assistant_version":3,"metadata":{"order":"4711"},"analysis":{"status":"ready","summary":"The caller moved the delivery of order 4711 to Friday.","success":true,"success_reason":"A new date was agreed.","fields":{"new_date":"2026-03-06","reason":null},"model":"openai/gpt-4o-mini","asked_at":"2026-03-01T09:01:37.000Z","ended_at":"2026-03-01T09:01:39.400Z","error":null}}"""),
        new("analysis.failed", "A call or conversation could not be analysed, and why.", "call or session",
            """{"session_id":"ses01k0z5n1w2b4d6f8h0j2m4p6r8","call_id":"cal01k0z5m3ve7f8bqv2n9d4s6xth","assistant_id":"ast01k0z5kq1rf0v9d1m3b7c5e8gj","assistant_version":3,"metadata":{"order":"4711"},"analysis":{"status":"failed","summary":null,"success":null,"success_reason":null,"fields":{},"model":null,"asked_at":"2026-03-01T09:01:37.000Z","ended_at":"2026-03-01T09:31:59.400Z","error":"openai/gpt-4o-mini could not be reached."}}"""),
        new(WebhookTest, "Asked for with POST /v1/webhooks/{id}/test; sent to that webhook only.", "webhook", """{"webhook_id":"whk01k0z5s9a8b7c6d5e4f3g2h1jk"}"""),
        new(WebhookFailing, "Nothing has arrived at a webhook for a day.", "webhook",
            """{"webhook_id":"whk01k0z5s9a8b7c6d5e4f3g2h1jk","url":"https://example.com/hook","failing_since":"2026-03-01T09:00:00.000Z"}"""),
        new(WebhookRecovered, "A webhook that was announced as failing takes deliveries again.", "webhook",
            """{"webhook_id":"whk01k0z5s9a8b7c6d5e4f3g2h1jk","url":"https://example.com/hook"}"""),
        new(WebhookDisabled, "Nothing is sent to a webhook any more: it answered 410 (gone), or nothing arrived for five days (failing).", "webhook",
            """{"webhook_id":"whk01k0z5s9a8b7c6d5e4f3g2h1jk","url":"https://example.com/hook","reason":"failing","failing_since":"2026-03-01T09:00:00.000Z"}"""),
        new(KeyExpiring, "An API key expires within seven days.", "key",
            """{"key_id":"key01k0z5t7u6v5w4x3y2z1a0b9cd","name":"CRM","expires_at":"2026-03-08T09:00:00.000Z"}"""),
        new("balance.low", "The tenant's balance has fallen below its threshold; told once until it has been above again.", "tenant",
            """{"balance":9876540,"credit_limit":0,"threshold":10000000,"unit":"micro_credit","fell_at":"2026-03-01T09:01:37.000Z"}"""),
        new("balance.exhausted", "Nothing is left to spend; told once until there is something again.", "tenant",
            """{"balance":0,"credit_limit":0,"unit":"micro_credit","fell_at":"2026-03-01T09:01:37.000Z"}"""),
        new("balance.credits_expired", "Promotional credits that were not used in time were taken back.", "tenant",
            """{"amount":4000000,"expires_at":"2026-03-01T09:00:00.000Z","granted_by":"txn01k0z5r8s7t6v5w4x3y2z1a0bc","transaction_id":"txn01k0z5v9w8x7y6z5a4b3c2d1ef","balance":21000000,"unit":"micro_credit"}"""),
    ];

    private static readonly HashSet<string> Filters =
        [.. All.Select(t => t.Name), .. All.Select(t => t.Name.Split('.')[0] + ".*")];

    /// <summary>Whether a webhook may ask for it: a type, or all of a kind ("call.*").</summary>
    public static bool IsFilter(string? text) => text is not null && Filters.Contains(text);
}
