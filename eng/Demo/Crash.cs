using System.Text.Json.Nodes;

namespace VoicePlatform.Demo;

/// <summary>
/// A conversation whose host is killed in the middle. Whoever started this program kills and restarts the host when it reads
/// <see cref="HostWatch.KillNow"/>; what is checked then is what is left of the conversation, its money and its webhook.
/// </summary>
internal sealed class Crash(Api open, HttpClient http, string adminKey, string library, string cache, TimeProvider clock)
{
    /// <summary>From the crash to the end of the session on the books.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    /// <summary>How long a caller may hear nothing and not know why.</summary>
    private static readonly TimeSpan CallerWaits = TimeSpan.FromSeconds(15);

    /// <summary>How long nothing more may come afterwards.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    private const string Greeting = "Welcome to the corner bistro.";
    private const string Hours = "We are open from nine in the morning until ten in the evening.";
    private const string Story = "Once upon a time there was a small bistro at the corner of a street, and everybody who came to it stayed for a very long time.";

    private readonly Checks _checks = new();
    private readonly HostWatch _host = new(http, clock);
    private Api _api = null!;     // The tenant's, once there is one.

    public async Task<int> RunAsync(CancellationToken ct)
    {
        await using var webhooks = await WebhookListener.StartAsync(ct);
        var (tenant, assistant) = await PrepareAsync(webhooks, ct);
        var before = await _api.GetAsync("/v1/billing/balance", ct);
        var session = await _api.PostAsync("/v1/sessions", new { assistant_id = assistant, participant = new { identity = "caller-1" } }, ct);
        var id = session["id"]!.GetValue<string>();
        Console.WriteLine($"session    {id} of {tenant}");

        var question = await Tools.SpeakAsync("what are your opening hours", ct);
        var request = await Tools.SpeakAsync("can you tell me a story", ct);
        var told = 0L;
        DateTimeOffset killedAt;
        await using (var caller = await Caller.JoinAsync(session["livekit_url"]!.GetValue<string>(), session["token"]!.GetValue<string>(), library, cache, Show, clock, ct))
        {
            await caller.HearOutAsync(TimeSpan.FromMilliseconds(600), ct);
            caller.TakeHeard();
            await caller.SayAsync(question, ct);
            await caller.HearOutAsync(TimeSpan.FromMilliseconds(600), ct);
            var heard = await Tools.TranscribeAsync(caller.TakeHeard(), ct);
            _checks.That("the caller heard the answer before the crash", Words.Overlap(heard, Hours) >= 0.6);
            await caller.SayAsync(request, ct);
            await caller.HearStartAsync(ct);
            await Task.Delay(TimeSpan.FromSeconds(1), clock, ct);
            Console.WriteLine(HostWatch.KillNow);
            await _host.GoneAsync(ct);
            told = clock.GetTimestamp();
            killedAt = clock.GetUtcNow();
            await _host.BackAsync(ct);
            Console.WriteLine($"the host is back after {clock.GetElapsedTime(told).TotalSeconds:0.0} s");

            // The caller stays on the line: its client finds the new host by itself, and there that the assistant is gone.
            await Task.WhenAny(caller.Left, Task.Delay(CallerWaits, clock, ct));
            _checks.That($"the caller learnt that the assistant is gone ({clock.GetElapsedTime(told).TotalSeconds:0.0} s after the crash)", caller.Left.IsCompleted);
        }

        using var bound = new CancellationTokenSource(Bound - clock.GetElapsedTime(told), clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, bound.Token);
        var ended = await EndAsync(id, either.Token);
        var webhook = await webhooks.NextAsync(either.Token);
        Console.WriteLine($"the session ended on the books {clock.GetElapsedTime(told).TotalSeconds:0.0} s after the crash: {ended["ended_reason"]}, cost {ended["cost"]}");

        // The log's order is made after the commit that queued the webhook: it may come a moment later.
        JsonObject first;
        while (!(first = await BooksAsync(id, either.Token))["events"]!.AsArray().Any(e => e!["type"]!.GetValue<string>() == "session.completed"))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), clock, either.Token);
        }

        CheckSession(ended, killedAt);
        await CheckTranscriptAsync(id, ct);
        CheckMoney(first, ended, before);
        CheckWebhook(webhook, id, ended);

        await Task.Delay(Quiet, clock, ct);
        var later = await BooksAsync(id, ct);
        foreach (var (what, books) in first)
        {
            if (!JsonNode.DeepEquals(books, later[what]))
            {
                Console.WriteLine($"{what} changed from {books?.ToJsonString()}\n  to {later[what]?.ToJsonString()}");
            }
        }

        _checks.That($"nothing more was booked or announced in the next {Quiet.TotalSeconds:0} s", JsonNode.DeepEquals(first, later));
        _checks.That("the webhook came exactly once", !webhooks.TryNext(out _));
        _checks.That("the event log has the completion exactly once",
            later["events"]!.AsArray().Count(e => e!["type"]!.GetValue<string>() == "session.completed" && e["subject_id"]!.GetValue<string>() == id) == 1);
        return _checks.Report();
    }

    private async Task<(string Tenant, string Assistant)> PrepareAsync(WebhookListener webhooks, CancellationToken ct)
    {
        var signUp = (await open.PostAsync("/auth/create-key", new { user_name = "Dana", org_name = "Corner Bistro", user_email = "dana@example.com" }, ct))["data"]!;
        _api = open.With(signUp["api_key"]!.GetValue<string>());
        var tenant = signUp["tenant_id"]!.GetValue<string>();
        await open.With(adminKey).PostAsync("/v1/billing/topups", new { tenant_id = tenant, amount = 25_000_000, external_reference = $"invoice-{tenant}" }, ct);
        var webhook = await _api.PostAsync("/v1/webhooks", new { url = webhooks.Url, event_types = new[] { "session.completed" } }, ct);
        webhooks.Secret = webhook["secret"]!.GetValue<string>();
        var assistant = await _api.PostAsync("/v1/assistants", new
        {
            name = "Bistro",
            greeting = new { text = Greeting },
            stt = new { model = "local/pocketsphinx" },
            llm = new
            {
                model = "local/script",
                options = new { rules = new object[] { new { when = "opening|hours", say = Hours }, new { when = "tell|story", say = Story } }, otherwise = Story },
            },
            tts = new { model = "local/flite:slt" },
        }, ct);
        return (tenant, assistant["id"]!.GetValue<string>());
    }

    private void CheckSession(JsonNode ended, DateTimeOffset killedAt)
    {
        _checks.That("the session ended because its agent was lost", ended["ended_reason"]!.GetValue<string>() == "agent_lost");
        _checks.That("it ended when somebody last reported, not when the loss was noticed", Instant(ended["ended_at"]) <= killedAt);
    }

    private async Task CheckTranscriptAsync(string id, CancellationToken ct)
    {
        var lines = (await _api.GetAsync($"/v1/sessions/{id}/transcript", ct))["data"]!.AsArray();
        foreach (var line in lines)
        {
            Console.WriteLine($"  {line!["turn"],2} {line["speaker"],-5} {line["text"]}{(line["interrupted"]?.GetValue<bool>() == true ? " (interrupted)" : "")}");
        }

        Said("greeting", 0, "agent", Greeting);
        Said("question", 1, "user", "what are your opening hours");
        Said("answer", 1, "agent", Hours);
        Said("request that was being answered", 2, "user", "can you tell me a story");

        void Said(string what, int turn, string speaker, string text)
        {
            var said = lines.Where(l => l!["turn"]!.GetValue<int>() == turn && l["speaker"]!.GetValue<string>() == speaker).ToList();
            _checks.That($"the transcript has the {what}, once", said.Count == 1 && Words.Overlap(said[0]!["text"]!.GetValue<string>(), text) >= 0.6);
        }
    }

    private void CheckMoney(JsonNode books, JsonNode ended, JsonNode before)
    {
        var cost = ended["cost"]!.GetValue<long>();
        var entries = books["transactions"]!.AsArray().SelectMany(t => t!["entries"]!.AsArray()).ToList();
        var charged = entries.Where(e => e!["account"]!.GetValue<string>() == "platform:revenue").Sum(e => e!["amount"]!.GetValue<long>());
        var seconds = entries.Where(e => e!["component"]?.GetValue<string>() == "platform").Sum(e => Math.Abs(e!["quantity"]!.GetValue<long>()));
        var lasted = Instant(ended["ended_at"]) - Instant(ended["started_at"]);
        _checks.That("what happened was charged", cost > 0 && charged == cost);
        _checks.That($"time was charged until the last report ({seconds} s of {lasted.TotalSeconds:0.0} s)", seconds == (long)Math.Ceiling(lasted.TotalSeconds));
        _checks.That("the hold is settled, and the balance fell by the charge",
            books["balance"]!["held"]!.GetValue<long>() == 0 && before["posted"]!.GetValue<long>() - books["balance"]!["posted"]!.GetValue<long>() == cost
            && books["holds"]!.AsArray().All(h => h!["status"]!.GetValue<string>() == "settled"));
        _checks.That("entries add up to zero, and the ledger verifies itself", entries.Sum(e => e!["amount"]!.GetValue<long>()) == 0 && books["verified"]!["ok"]!.GetValue<bool>());
    }

    private void CheckWebhook(ReceivedWebhook webhook, string id, JsonNode ended)
    {
        var body = JsonNode.Parse(webhook.Body)!;
        _checks.That("the webhook's signature verifies", webhook.IsGenuine);
        _checks.That("the webhook tells of this session what the books say",
            body["type"]!.GetValue<string>() == "session.completed" && body["subject_id"]!.GetValue<string>() == id
            && body["data"]!["ended_reason"]!.GetValue<string>() == "agent_lost" && body["data"]!["cost"]!["amount"]!.GetValue<long>() == ended["cost"]!.GetValue<long>());
    }

    /// <summary>All that a second finalisation would change.</summary>
    private async Task<JsonObject> BooksAsync(string id, CancellationToken ct) => new()
    {
        ["session"] = (await _api.GetAsync($"/v1/sessions/{id}", ct)).DeepClone(),
        ["usage"] = (await _api.GetAsync($"/v1/sessions/{id}/usage", ct)).DeepClone(),
        ["transcript"] = (await _api.GetAsync($"/v1/sessions/{id}/transcript", ct)).DeepClone(),
        ["transactions"] = (await _api.GetAsync($"/v1/billing/transactions?subject_id={id}", ct))["data"]!.DeepClone(),
        ["holds"] = (await _api.GetAsync("/v1/billing/holds", ct))["data"]!.DeepClone(),
        ["balance"] = Without("as_of", await _api.GetAsync("/v1/billing/balance", ct)),
        ["verified"] = (await _api.GetAsync("/v1/billing/verify", ct)).DeepClone(),
        ["events"] = (await _api.GetAsync("/v1/events", ct))["data"]!.DeepClone(),
    };

    private async Task<JsonNode> EndAsync(string id, CancellationToken ct)
    {
        while (true)
        {
            var state = await _api.GetAsync($"/v1/sessions/{id}", ct);
            if (state["status"]!.GetValue<string>() == "ended")
            {
                return state;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(250), clock, ct);
        }
    }

    private static JsonNode Without(string field, JsonNode node)
    {
        var copy = node.DeepClone();
        copy.AsObject().Remove(field);
        return copy;
    }

    private static DateTimeOffset Instant(JsonNode? node) => node!.GetValue<DateTimeOffset>();

    private static void Show(string who, string text, bool final)
    {
        if (final)
        {
            Console.WriteLine($"  [{(who == "caller-1" ? "caller, as understood" : "assistant")}] {text}");
        }
    }
}
