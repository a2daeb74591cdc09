using System.Text.Json.Nodes;
using VoicePlatform.Demo;

// The main job, from outside: a tenant's program, a caller with a microphone, and a receiver of webhooks, against a running platform.
var baseUrl = Environment.GetEnvironmentVariable("PUBLIC_URL") ?? "http://127.0.0.1:8000";
var dataDir = Environment.GetEnvironmentVariable("DATA_DIR") ?? ".data";
var library = Environment.GetEnvironmentVariable("LIVEKIT_FFI_LIBRARY") ?? throw new InvalidOperationException("LIVEKIT_FFI_LIBRARY is not set.");
var adminKey = Environment.GetEnvironmentVariable("PLATFORM_ADMIN_KEY") ?? await File.ReadAllTextAsync(Path.Combine(dataDir, "secrets", "platform-admin-key"));
var clock = TimeProvider.System;
using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(120), clock);
var ct = patience.Token;
var checks = new Checks();

using var http = new HttpClient { BaseAddress = new Uri(baseUrl) };
var open = new Api(http, null);
if (args is ["crash"])
{
    return await new Crash(open, http, adminKey.Trim(), library, Path.Combine(dataDir, "native"), clock).RunAsync(ct);
}

await using var webhooks = await WebhookListener.StartAsync(ct);

Console.WriteLine("\n== A tenant, its credits and its assistant");
var signUp = (await open.PostAsync("/auth/create-key", new { user_name = "Dana", org_name = "Corner Bistro", user_email = "dana@example.com" }, ct))["data"]!;
var api = open.With(signUp["api_key"]!.GetValue<string>());
var tenant = signUp["tenant_id"]!.GetValue<string>();
Console.WriteLine($"tenant     {tenant}");
var topUp = await open.With(adminKey.Trim()).PostAsync("/v1/billing/topups", new { tenant_id = tenant, amount = 25_000_000, external_reference = $"invoice-{tenant}" }, ct);
var before = await api.GetAsync("/v1/billing/balance", ct);
Console.WriteLine($"credits    {Credits(before["available"]!)} available (topped up in {topUp["transaction_id"]})");
var webhook = await api.PostAsync("/v1/webhooks", new { url = webhooks.Url, event_types = new[] { "session.completed" } }, ct);
webhooks.Secret = webhook["secret"]!.GetValue<string>();
Console.WriteLine($"webhook    {webhook["id"]} to {webhooks.Url}");

var greeting = "Welcome to the corner bistro. How can I help you?";
var hours = "We are open from nine in the morning until ten in the evening.";
var bye = "It was a pleasure talking with you. See you soon.";
var assistant = await api.PostAsync("/v1/assistants", new
{
    name = "Bistro",
    greeting = new { text = greeting },
    stt = new { model = "local/pocketsphinx" },
    llm = new
    {
        model = "local/script",
        options = new
        {
            rules = new object[]
            {
                new { when = "opening|hours", say = hours },
                new { when = "my name|tell me", say = "Your name is {{name}}." },
                new { when = "everything|good ?bye", say = bye, end_call = true },
            },
            otherwise = "I did not understand that.",
        },
    },
    tts = new { model = "local/flite:slt" },
}, ct);
Console.WriteLine($"assistant  {assistant["id"]} version {assistant["version"]}");

Console.WriteLine("\n== The conversation");
var session = await api.PostAsync("/v1/sessions", new
{
    assistant_id = assistant["id"]!.GetValue<string>(),
    participant = new { identity = "caller-1", name = "A caller" },
    metadata = new { name = "Margaret Thompson" },
}, ct);
var sessionId = session["id"]!.GetValue<string>();
Console.WriteLine($"session    {sessionId} in room {session["room_name"]}");

string[] questions = ["what are your opening hours", "can you tell me my name", "thank you that is everything"];
var speech = new List<short[]>();
foreach (var question in questions)
{
    speech.Add(await Tools.SpeakAsync(question, ct));
}

var heard = new List<string>();
var latencies = new List<double>();
await using (var caller = await Caller.JoinAsync(
    session["livekit_url"]!.GetValue<string>(), session["token"]!.GetValue<string>(), library, Path.Combine(dataDir, "native"),
    (who, text, final) =>
    {
        if (final)
        {
            Console.WriteLine($"  [{(who == "caller-1" ? "caller, as understood" : "assistant")}] {text}");
        }
    },
    clock, ct))
{
    await caller.HearOutAsync(TimeSpan.FromMilliseconds(700), ct);
    heard.Add(await Tools.TranscribeAsync(caller.TakeHeard(), ct));
    foreach (var (question, sound) in questions.Zip(speech))
    {
        Console.WriteLine($"  [caller says] {question}");
        caller.TakeHeard();
        await caller.SayAsync(sound, ct);
        await caller.HearOutAsync(TimeSpan.FromMilliseconds(700), ct);
        if (caller.ResponseTime is { } response)
        {
            latencies.Add(response.TotalMilliseconds);
        }

        heard.Add(await Tools.TranscribeAsync(caller.TakeHeard(), ct));
    }

    await caller.Left.WaitAsync(ct);
}

Console.WriteLine("\n== What the caller heard (the arriving audio, transcribed again)");
heard.ForEach(h => Console.WriteLine($"  {h}"));
checks.That("the caller heard the greeting", Words.Overlap(heard[0], greeting) >= 0.6);
checks.That("the caller heard the answer about opening hours", Words.Overlap(heard[1], hours) >= 0.6);
checks.That("the caller heard the name from the session's metadata", heard[2].Contains("thompson", StringComparison.OrdinalIgnoreCase));
checks.That("the caller heard the goodbye", Words.Overlap(heard[3], bye) >= 0.6);

var completed = await WaitForEndAsync();
Console.WriteLine("\n== The stored transcript");
var transcript = (await api.GetAsync($"/v1/sessions/{sessionId}/transcript", ct))["data"]!.AsArray();
foreach (var line in transcript)
{
    Console.WriteLine($"  {line!["turn"],2} {line["speaker"],-5} {line["text"]}");
}

var saidByUser = transcript.Where(l => l!["speaker"]!.GetValue<string>() == "user").Select(l => l!["text"]!.GetValue<string>()).ToList();
checks.That("the transcript has what the caller asked", saidByUser.Count == questions.Length && questions.Zip(saidByUser).All(p => Words.Overlap(p.Second, p.First) >= 0.6));
checks.That("the session ended because the assistant ended it", completed["ended_reason"]!.GetValue<string>() == "assistant_ended");

Console.WriteLine("\n== Latency per turn, in ms");
Console.WriteLine("  turn  endpointing  recogniser  first text  voice  response | at the caller's ear");
var turns = (await api.GetAsync($"/v1/sessions/{sessionId}/turns", ct))["data"]!.AsArray();
foreach (var turn in turns)
{
    var number = turn!["turn"]!.GetValue<int>();
    var ear = number > 0 && number <= latencies.Count ? $"{latencies[number - 1]:0}" : "";
    Console.WriteLine($"  {number,4}  {turn["endpointing_ms"],11}  {turn["transcription_ms"],10}  {turn["first_token_ms"],10}  {turn["first_audio_ms"],5}  {turn["response_ms"],8} | {ear}");
}

checks.That("every turn was measured", turns.Count(t => t!["response_ms"] is not null) == questions.Length && latencies.Count == questions.Length);

Console.WriteLine("\n== What it cost");
var transactions = (await api.GetAsync($"/v1/billing/transactions?subject_id={sessionId}", ct))["data"]!.AsArray();
long sum = 0;
long charged = 0;
foreach (var transaction in transactions.Reverse())
{
    var entries = transaction!["entries"]!.AsArray();
    sum += entries.Sum(e => e!["amount"]!.GetValue<long>());
    Console.WriteLine($"  {transaction["kind"],-8} {transaction["id"]}");
    foreach (var entry in entries)
    {
        var priced = entry!["component"] is { } component ? $"  {component}: {entry["quantity"]} {entry["unit"]}s at {entry["rate"]}/{entry["per"]} ({entry["rate_card"]})" : "";
        charged += entry["account"]!.GetValue<string>() == "platform:revenue" ? entry["amount"]!.GetValue<long>() : 0;
        Console.WriteLine($"    {entry["account"],-18} {entry["amount"],12}{priced}");
    }
}

var after = await api.GetAsync("/v1/billing/balance", ct);
var verified = await api.GetAsync("/v1/billing/verify", ct);
Console.WriteLine($"  entries add up to {sum}; charged {Credits(JsonValue.Create(charged))} credits; balance {Credits(before["posted"]!)} -> {Credits(after["posted"]!)}");
checks.That("the ledger's entries add up to zero", sum == 0 && transactions.Count >= 2);
checks.That("the balance fell by exactly what was charged, and nothing is held", charged > 0 && before["posted"]!.GetValue<long>() - after["posted"]!.GetValue<long>() == charged && after["held"]!.GetValue<long>() == 0);
checks.That("the ledger verifies itself", verified["ok"]!.GetValue<bool>());
checks.That("the session's cost is the charge", completed["cost"]!.GetValue<long>() == charged);

Console.WriteLine("\n== The completion webhook");
var received = await webhooks.NextAsync(ct);
var body = JsonNode.Parse(received.Body)!;
Console.WriteLine($"  {received.Id} {body["type"]} sequence {body["sequence"]}, {received.Body.Length} bytes\n  signature {received.Signature} {(received.IsGenuine ? "verified" : "WRONG")}");
checks.That("the webhook's signature verifies", received.IsGenuine);
checks.That("the webhook speaks of this session, with its transcript and cost",
    body["type"]!.GetValue<string>() == "session.completed" && body["subject_id"]!.GetValue<string>() == sessionId
    && body["data"]!["transcript"]!.AsArray().Count == transcript.Count && body["data"]!["cost"]!["amount"]!.GetValue<long>() == charged);
checks.That("it came once", !webhooks.TryNext(out _));

return checks.Report();

async Task<JsonNode> WaitForEndAsync()
{
    while (true)
    {
        var state = await api.GetAsync($"/v1/sessions/{sessionId}", ct);
        if (state["status"]!.GetValue<string>() == "ended")
        {
            return state;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(100), clock, ct);
    }
}

static string Credits(JsonNode micro) => (micro.GetValue<long>() / 1_000_000m).ToString("0.000000", null);
