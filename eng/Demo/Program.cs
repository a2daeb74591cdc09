using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.Demo;
using VoicePlatform.MediaServer.Sip;

// The main job, from outside: a tenant's program, a telephone, and a receiver of webhooks, against a running platform.
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

if (args is ["crash-call"])
{
    return await new CrashCall(open, http, adminKey.Trim(), dataDir, clock).RunAsync(ct);
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
var webhook = await api.PostAsync("/v1/webhooks", new { url = webhooks.Url, event_types = new[] { "call.completed" } }, ct);
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

Console.WriteLine("\n== The telephone call");
await using var phone = new TestPhone(new TestPhoneOptions(), clock, NullLoggerFactory.Instance);
phone.Start();
var trunk = await api.PostAsync("/v1/trunks", new
{
    name = "Test phone",
    type = "generic",
    direction = "outbound",
    address = $"127.0.0.1:{phone.Port}",
    transport = "udp",
    numbers = new[] { "+15550100" },
}, ct);
Console.WriteLine($"trunk      {trunk["id"]} to {trunk["address"]}");

string[] questions = ["what are your opening hours", "can you tell me my name", "thank you that is everything"];
var speech = new List<short[]>();
foreach (var question in questions)
{
    speech.Add(await Tools.SpeakAsync(question, ct));
}

var placed = await api.PostAsync("/v1/calls", new
{
    assistant_id = assistant["id"]!.GetValue<string>(),
    trunk_id = trunk["id"]!.GetValue<string>(),
    to_number = "+15550177",
    metadata = new { name = "Margaret Thompson" },
    record = true,
}, ct);
var callId = placed["id"]!.GetValue<string>();
Console.WriteLine($"call       {callId} {placed["status"]} to {placed["to_number"]}");

var heard = new List<string>();
var latencies = new List<double>();
TimeSpan? greetedAfter;
await using (var call = await phone.NextCallAsync(ct))
{
    Console.WriteLine($"  [phone rings] {call.From} calls {call.To}; picked up, {call.Codec}");
    var caller = new PhoneCaller(call, clock);
    await caller.HearOutAsync(TimeSpan.FromMilliseconds(900), ct);
    heard.Add(await Tools.TranscribeAsync(caller.TakeHeard(), ct));
    greetedAfter = call.FirstSoundAfter;
    Console.WriteLine($"  [assistant, as heard] {heard[^1]}   (from {greetedAfter?.TotalMilliseconds:0} ms after picking up)");
    foreach (var (question, sound) in questions.Zip(speech))
    {
        Console.WriteLine($"  [callee says] {question}");
        caller.TakeHeard();
        await caller.SayAsync(sound, ct);
        await caller.HearOutAsync(TimeSpan.FromMilliseconds(900), ct);
        if (caller.ResponseTime is { } response)
        {
            latencies.Add(response.TotalMilliseconds);
        }

        heard.Add(await Tools.TranscribeAsync(caller.TakeHeard(), ct));
        Console.WriteLine($"  [assistant, as heard] {heard[^1]}");
    }

    await call.Ended.WaitAsync(ct);
    Console.WriteLine("  [assistant hangs up]");
}

Console.WriteLine("\n== What the callee heard (the arriving audio, transcribed again)");
heard.ForEach(h => Console.WriteLine($"  {h}"));
checks.That("the callee heard the greeting", Words.Overlap(heard[0], greeting) >= 0.6);
checks.That("the callee heard the answer about opening hours", Words.Overlap(heard[1], hours) >= 0.6);
checks.That("the callee heard the name from the call's metadata", heard[2].Contains("thompson", StringComparison.OrdinalIgnoreCase));
checks.That("the callee heard the goodbye", Words.Overlap(heard[3], bye) >= 0.6);

checks.That("the greeting began within a second of the answer", greetedAfter is { } after1 && after1 < TimeSpan.FromSeconds(1));
var completed = await WaitForEndAsync();
var sessionId = completed["session_id"]!.GetValue<string>();
Console.WriteLine("\n== The stored transcript");
var transcript = (await api.GetAsync($"/v1/calls/{callId}/transcript", ct))["data"]!.AsArray();
foreach (var line in transcript)
{
    Console.WriteLine($"  {line!["turn"],2} {line["speaker"],-5} {line["text"]}");
}

var saidByUser = transcript.Where(l => l!["speaker"]!.GetValue<string>() == "user").Select(l => l!["text"]!.GetValue<string>()).ToList();
checks.That("the transcript has what the callee asked", saidByUser.Count == questions.Length && questions.Zip(saidByUser).All(p => Words.Overlap(p.Second, p.First) >= 0.6));
checks.That("the call completed because the assistant ended it", completed["status"]!.GetValue<string>() == "completed" && completed["ended_reason"]!.GetValue<string>() == "assistant_ended");

Console.WriteLine("\n== Latency per turn, in ms");
Console.WriteLine("  turn  endpointing  recogniser  first text  voice  response | at the phone");
var turns = (await api.GetAsync($"/v1/sessions/{sessionId}/turns", ct))["data"]!.AsArray();
foreach (var turn in turns)
{
    var number = turn!["turn"]!.GetValue<int>();
    var ear = number > 0 && number <= latencies.Count ? $"{latencies[number - 1]:0}" : "";
    Console.WriteLine($"  {number,4}  {turn["endpointing_ms"],11}  {turn["transcription_ms"],10}  {turn["first_token_ms"],10}  {turn["first_audio_ms"],5}  {turn["response_ms"],8} | {ear}");
}

checks.That("every turn was measured", turns.Count(t => t!["response_ms"] is not null) == questions.Length && latencies.Count == questions.Length);

Console.WriteLine("\n== What it cost");
var transactions = (await api.GetAsync($"/v1/billing/transactions?subject_id={callId}", ct))["data"]!.AsArray();
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
checks.That("the call's cost is the charge", completed["cost"]!["amount"]!.GetValue<long>() == charged);

Console.WriteLine("\n== The recording");
var recording = await RecordingAsync();
var file = Path.Combine(dataDir, $"{callId}.ogg");
await File.WriteAllBytesAsync(file, await http.GetByteArrayAsync(recording["url"]!.GetValue<string>(), ct), ct);
var recorded = await Tools.DecodeAsync(file, ct);
var length = TimeSpan.FromSeconds((double)recorded.Length / Tools.SampleRate);
var said = await Tools.TranscribeAsync(recorded, ct);
Console.WriteLine($"  {file}: {length.TotalSeconds:0.0} s, {new FileInfo(file).Length} bytes\n  {said}");
checks.That("the recording is as long as the call", Math.Abs(length.TotalSeconds - completed["duration_s"]!.GetValue<double>()) < 2 && Math.Abs(length.TotalSeconds - recording["duration_s"]!.GetValue<double>()) < 0.2);
checks.That("both sides can be heard in it", Words.Overlap(said, hours) >= 0.6 && Words.Overlap(said, questions[0]) >= 0.6);

Console.WriteLine("\n== The completion webhook");
var received = await webhooks.NextAsync(ct);
var body = JsonNode.Parse(received.Body)!;
Console.WriteLine($"  {received.Id} {body["type"]} sequence {body["sequence"]}, {received.Body.Length} bytes\n  signature {received.Signature} {(received.IsGenuine ? "verified" : "WRONG")}");
checks.That("the webhook's signature verifies", received.IsGenuine);
checks.That("the webhook speaks of this call, with its transcript, cost and recording",
    body["type"]!.GetValue<string>() == "call.completed" && body["subject_id"]!.GetValue<string>() == callId
    && body["data"]!["transcript"]!.AsArray().Count == transcript.Count && body["data"]!["cost"]!["amount"]!.GetValue<long>() == charged && body["data"]!["recording"] is not null);
checks.That("it came once", !webhooks.TryNext(out _));

return checks.Report();

async Task<JsonNode> WaitForEndAsync()
{
    while (true)
    {
        var state = await api.GetAsync($"/v1/calls/{callId}", ct);
        if (state["ended_at"] is not null)
        {
            return state;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(100), clock, ct);
    }
}

async Task<JsonNode> RecordingAsync()
{
    while (true)
    {
        var state = await api.GetAsync($"/v1/calls/{callId}/recording", ct);
        if (state["duration_s"] is not null)
        {
            return state;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(100), clock, ct);
    }
}

static string Credits(JsonNode micro) => (micro.GetValue<long>() / 1_000_000m).ToString("0.000000", null);
