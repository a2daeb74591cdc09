using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.Demo;

/// <summary>
/// A recorded telephone call whose host is killed in the middle, on the line <see cref="HostWatch.KillNow"/>; what is checked then is
/// what is left of it: its end, its money, its webhook, its recording, and that nobody is rung a second time.
/// </summary>
internal sealed class CrashCall(Api open, HttpClient http, string adminKey, string dataDir, TimeProvider clock)
{
    /// <summary>From the crash to the end of the call on the books.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    /// <summary>How long nothing more may come afterwards.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    /// <summary>Of the recording, what had not been written when the host died.</summary>
    private static readonly TimeSpan MayBeLost = TimeSpan.FromSeconds(3);

    private const string Greeting = "Welcome to the corner bistro.";
    private const string Hours = "We are open from nine in the morning until ten in the evening.";
    private const string Question = "what are your opening hours";

    private readonly Checks _checks = new();
    private readonly HostWatch _host = new(http, clock);
    private Api _api = null!;     // The tenant's, once there is one.

    public async Task<int> RunAsync(CancellationToken ct)
    {
        await using var webhooks = await WebhookListener.StartAsync(ct);
        await using var phone = new TestPhone(new TestPhoneOptions(), clock, NullLoggerFactory.Instance);
        phone.Start();
        var (assistant, trunk) = await PrepareAsync(webhooks, phone, ct);
        var before = await _api.GetAsync("/v1/billing/balance", ct);
        var question = await Tools.SpeakAsync(Question, ct);
        var placed = await _api.PostAsync("/v1/calls", new { assistant_id = assistant, trunk_id = trunk, to_number = "+15550177", record = true, retry = new { max_attempts = 3, delay_s = 1 } }, ct);
        var id = placed["id"]!.GetValue<string>();
        Console.WriteLine($"call       {id}");

        long told;
        DateTimeOffset killedAt;
        await using (var call = await phone.NextCallAsync(ct))
        {
            var callee = new PhoneCaller(call, clock);
            await callee.HearOutAsync(TimeSpan.FromMilliseconds(600), ct);
            callee.TakeHeard();
            await callee.SayAsync(question, ct);
            await callee.HearOutAsync(TimeSpan.FromMilliseconds(600), ct);
            var heard = await Tools.TranscribeAsync(callee.TakeHeard(), ct);
            _checks.That("the callee heard the answer before the crash", Words.Overlap(heard, Hours) >= 0.6);
            await callee.SayAsync(question, ct);
            await Task.Delay(TimeSpan.FromSeconds(2), clock, ct);
            Console.WriteLine(HostWatch.KillNow);
            await _host.GoneAsync(ct);
            (told, killedAt) = (clock.GetTimestamp(), clock.GetUtcNow());
            await _host.BackAsync(ct);
            Console.WriteLine($"the host is back after {clock.GetElapsedTime(told).TotalSeconds:0.0} s");
        }

        using var bound = new CancellationTokenSource(Bound - clock.GetElapsedTime(told), clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, bound.Token);
        var ended = await EndAsync(id, either.Token);
        var webhook = await webhooks.NextAsync(either.Token);
        Console.WriteLine($"the call ended on the books {clock.GetElapsedTime(told).TotalSeconds:0.0} s after the crash: {ended["status"]}, {ended["ended_reason"]}, cost {ended["cost"]?["amount"]}");
        CheckCall(ended, killedAt);
        CheckWebhook(webhook, id, ended);
        await CheckRecordingAsync(id, ended, killedAt, either.Token);
        var first = await BooksAsync(id, ct);
        CheckMoney(first, ended, before);

        _checks.That($"nobody was rung again in the next {Quiet.TotalSeconds:0} s", !await RingsAgainAsync(phone, ct));
        var later = await BooksAsync(id, ct);
        foreach (var (what, books) in first.Where(b => !JsonNode.DeepEquals(b.Value, later[b.Key])))
        {
            Console.WriteLine($"{what} changed from {books?.ToJsonString()}\n  to {later[what]?.ToJsonString()}");
        }

        _checks.That("nothing more was booked or announced meanwhile", JsonNode.DeepEquals(first, later));
        _checks.That("the webhook came exactly once", !webhooks.TryNext(out _));
        _checks.That("the event log has completion and recording exactly once", EventsOf(later, "call.completed", id) == 1 && EventsOf(later, "recording.ready", id) == 1);
        return _checks.Report();
    }

    private async Task<(string Assistant, string Trunk)> PrepareAsync(WebhookListener webhooks, TestPhone phone, CancellationToken ct)
    {
        var signUp = (await open.PostAsync("/auth/create-key", new { user_name = "Dana", org_name = "Corner Bistro", user_email = "dana@example.com" }, ct))["data"]!;
        _api = open.With(signUp["api_key"]!.GetValue<string>());
        var tenant = signUp["tenant_id"]!.GetValue<string>();
        await open.With(adminKey).PostAsync("/v1/billing/topups", new { tenant_id = tenant, amount = 25_000_000, external_reference = $"invoice-{tenant}" }, ct);
        var webhook = await _api.PostAsync("/v1/webhooks", new { url = webhooks.Url, event_types = new[] { "call.completed" } }, ct);
        webhooks.Secret = webhook["secret"]!.GetValue<string>();
        var assistant = await _api.PostAsync("/v1/assistants", new
        {
            name = "Bistro",
            greeting = new { text = Greeting },
            stt = new { model = "local/pocketsphinx" },
            llm = new { model = "local/script", options = new { rules = new object[] { new { when = "opening|hours", say = Hours } }, otherwise = Hours } },
            tts = new { model = "local/flite:slt" },
        }, ct);
        var trunk = await _api.PostAsync("/v1/trunks", new
        {
            name = "Test phone", type = "generic", direction = "outbound", address = $"127.0.0.1:{phone.Port}", transport = "udp", numbers = new[] { "+15550100" },
        }, ct);
        return (assistant["id"]!.GetValue<string>(), trunk["id"]!.GetValue<string>());
    }

    private void CheckCall(JsonNode ended, DateTimeOffset killedAt)
    {
        _checks.That("the call was completed, and the platform is at fault for its end",
            ended["status"]!.GetValue<string>() == "completed" && ended["ended_reason"]!.GetValue<string>() == "agent_lost" && ended["fault"]!.GetValue<string>() == "platform");
        _checks.That("it ended when somebody last reported, not when the loss was noticed", ended["ended_at"]!.GetValue<DateTimeOffset>() <= killedAt);
        _checks.That("the number was dialled once", ended["attempts"]!.GetValue<int>() == 1);
    }

    private void CheckMoney(JsonNode books, JsonNode ended, JsonNode before)
    {
        var cost = ended["cost"]!["amount"]!.GetValue<long>();
        var entries = books["transactions"]!.AsArray().SelectMany(t => t!["entries"]!.AsArray()).ToList();
        var charged = entries.Where(e => e!["account"]!.GetValue<string>() == "platform:revenue").Sum(e => e!["amount"]!.GetValue<long>());
        _checks.That("what happened was charged, once", cost > 0 && charged == cost);
        _checks.That("the hold is settled, and the balance fell by the charge",
            books["balance"]!["held"]!.GetValue<long>() == 0 && before["posted"]!.GetValue<long>() - books["balance"]!["posted"]!.GetValue<long>() == cost
            && books["holds"]!.AsArray().All(h => h!["status"]!.GetValue<string>() == "settled"));
        _checks.That("entries add up to zero, and the ledger verifies itself", entries.Sum(e => e!["amount"]!.GetValue<long>()) == 0 && books["verified"]!["ok"]!.GetValue<bool>());
    }

    private void CheckWebhook(ReceivedWebhook webhook, string id, JsonNode ended)
    {
        var body = JsonNode.Parse(webhook.Body)!;
        _checks.That("the webhook's signature verifies", webhook.IsGenuine);
        _checks.That("the webhook tells of this call what the books say",
            body["type"]!.GetValue<string>() == "call.completed" && body["subject_id"]!.GetValue<string>() == id
            && body["data"]!["fault"]!.GetValue<string>() == "platform" && body["data"]!["cost"]!["amount"]!.GetValue<long>() == ended["cost"]!["amount"]!.GetValue<long>());
    }

    private async Task CheckRecordingAsync(string id, JsonNode ended, DateTimeOffset killedAt, CancellationToken ct)
    {
        JsonNode? recording = null;
        while (recording?["status"]?.GetValue<string>() is not ("ready" or "failed"))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), clock, ct);
            recording = (await _api.GetAsync($"/v1/calls/{id}", ct))["recording"];
        }

        if (recording["status"]!.GetValue<string>() == "failed")
        {
            _checks.That("the recording is there", false);
            return;
        }

        var served = await _api.GetAsync($"/v1/calls/{id}/recording", ct);
        var file = Path.Combine(dataDir, $"{id}.served.ogg");
        await File.WriteAllBytesAsync(file, await http.GetByteArrayAsync(served["url"]!.GetValue<string>(), ct), ct);
        var sound = await Tools.DecodeAsync(file, ct);
        var length = TimeSpan.FromSeconds((double)sound.Length / Tools.SampleRate);
        var talked = killedAt - ended["answered_at"]!.GetValue<DateTimeOffset>();
        var said = await Tools.TranscribeAsync(sound, ct);
        Console.WriteLine($"the recording has {length.TotalSeconds:0.0} s of {talked.TotalSeconds:0.0} s until the crash: {said}");
        _checks.That("the recording goes up to the crash", length > talked - MayBeLost && length < talked + TimeSpan.FromSeconds(1));
        _checks.That("it is as long as the API says", Math.Abs(length.TotalSeconds - served["duration_s"]!.GetValue<double>()) < 0.2);
        _checks.That("both sides can be heard in it", Words.Overlap(said, Hours) >= 0.6 && Words.Overlap(said, Question) >= 0.6);
    }

    /// <summary>All that a second finalisation would change; links are new each time.</summary>
    private async Task<JsonObject> BooksAsync(string id, CancellationToken ct)
    {
        var call = (await _api.GetAsync($"/v1/calls/{id}", ct)).DeepClone();
        call["recording"]?.AsObject().Remove("url");
        var balance = (await _api.GetAsync("/v1/billing/balance", ct)).DeepClone();
        balance.AsObject().Remove("as_of");
        return new JsonObject
        {
            ["call"] = call,
            ["balance"] = balance,
            ["transcript"] = (await _api.GetAsync($"/v1/calls/{id}/transcript", ct))["data"]!.DeepClone(),
            ["transactions"] = (await _api.GetAsync($"/v1/billing/transactions?subject_id={id}", ct))["data"]!.DeepClone(),
            ["holds"] = (await _api.GetAsync("/v1/billing/holds", ct))["data"]!.DeepClone(),
            ["verified"] = (await _api.GetAsync("/v1/billing/verify", ct)).DeepClone(),
            ["events"] = (await _api.GetAsync("/v1/events", ct))["data"]!.DeepClone(),
        };
    }

    private async Task<bool> RingsAgainAsync(TestPhone phone, CancellationToken ct)
    {
        using var quiet = new CancellationTokenSource(Quiet, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, quiet.Token);
        try
        {
            await using var again = await phone.NextCallAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<JsonNode> EndAsync(string id, CancellationToken ct)
    {
        while (true)
        {
            var state = await _api.GetAsync($"/v1/calls/{id}", ct);
            if (state["ended_at"] is not null)
            {
                return state;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(250), clock, ct);
        }
    }

    private static int EventsOf(JsonNode books, string type, string id) =>
        books["events"]!.AsArray().Count(e => e!["type"]!.GetValue<string>() == type && e["subject_id"]!.GetValue<string>() == id);
}
