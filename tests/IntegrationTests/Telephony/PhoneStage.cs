using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.MediaServer.Sip;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>The whole platform with its agent, a tenant with an assistant, and a telephone at the end of the tenant's trunk.</summary>
internal sealed class PhoneStage : IAsyncDisposable
{
    public const string Greeting = "Welcome to the corner bistro.";
    public const string Number = "+15550100";

    private readonly FliteSpeech _flite = new();
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromSeconds(60), TimeProvider.System);

    private PhoneStage(TestHost host, TestTenant tenant, TestPhone phone, WebhookReceiver webhooks) => (Host, Tenant, Phone, Webhooks) = (host, tenant, phone, webhooks);

    public TestHost Host { get; }

    public TestTenant Tenant { get; }

    public TestPhone Phone { get; }

    public WebhookReceiver Webhooks { get; }

    public string AssistantId { get; private set; } = "";

    public string TrunkId { get; private set; } = "";

    public CancellationToken Patience => _patience.Token;

    public static async Task<PhoneStage> StartAsync(TestPhoneOptions? phone = null, object? assistant = null, params (string Name, string Value)[] settings)
    {
        var host = await TestHost.StartWithAgentAsync(settings);
        var stage = new PhoneStage(
            host, await host.SignUpAsync(), new TestPhone(phone ?? new TestPhoneOptions(), TimeProvider.System, NullLoggerFactory.Instance), await WebhookReceiver.StartAsync());
        stage.Phone.Start();
        stage.AssistantId = await stage.Tenant.CreateAssistantAsync(assistant ?? new
        {
            name = "Bistro",
            greeting = new { text = Greeting },
            llm = new
            {
                model = "local/script",
                options = new
                {
                    rules = new object[] { new { when = "hours", say = "We are open from nine to ten." }, new { when = "bye", say = "See you soon.", end_call = true } },
                    otherwise = "What do you mean?",
                },
            },
        });
        stage.TrunkId = await stage.CreateAsync("/v1/trunks", new
        {
            name = "out", type = "generic", direction = "outbound", address = $"127.0.0.1:{stage.Phone.Port}", transport = "udp", numbers = new[] { Number },
        });
        await stage.CreateAsync("/v1/webhooks", new { url = stage.Webhooks.Url, event_types = new[] { "call.completed" } });
        return stage;
    }

    public async Task<string> CreateAsync(string path, object body)
    {
        var answer = await Tenant.PostAsync(path, body);
        Assert.That((int)answer.Status, Is.InRange(200, 299), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    /// <summary>Places a call to the phone; answers its id.</summary>
    public Task<string> CallAsync(object? more = null)
    {
        var body = new JsonObject { ["assistant_id"] = AssistantId, ["trunk_id"] = TrunkId, ["to_number"] = "+15550177" };
        foreach (var (name, value) in System.Text.Json.JsonSerializer.SerializeToNode(more ?? new { })!.AsObject().ToList())
        {
            body[name] = value?.DeepClone();
        }

        return CreateAsync("/v1/calls", body);
    }

    /// <summary>A number of the tenant's that the media server takes calls for.</summary>
    public async Task<string> TakeCallsAsync()
    {
        const string Inbound = "+15550111";
        var trunk = await CreateAsync("/v1/trunks", new { name = "in", type = "generic", direction = "inbound", numbers = new[] { Inbound }, allowed_addresses = new[] { "127.0.0.1" } });
        await CreateAsync("/v1/numbers", new { number = Inbound, trunk_id = trunk, assistant_id = AssistantId });

        // The trunk reaches the media server a moment later.
        var livekit = Host.Services.GetRequiredService<LiveKitApi>();
        await UntilAsync(async () => (await livekit.Sip.ListDispatchRulesAsync(new(), Patience)).Count > 0, "the trunk on the media server");
        return Inbound;
    }

    public Task<TestPhoneCall> CallInAsync(string number) =>
        Phone.CallAsync($"sip:{number}@127.0.0.1:{Host.Services.GetRequiredService<VoicePlatform.Host.Settings>().SipPort}", "+15550123", Patience);

    public async Task<JsonNode> ReadAsync(string callId) => (await Tenant.GetAsync($"/v1/calls/{callId}")).Body!;

    /// <summary>The call once it is over.</summary>
    public async Task<JsonNode> EndedAsync(string callId)
    {
        JsonNode call = null!;
        await UntilAsync(async () => (call = await ReadAsync(callId))["ended_at"] is not null, $"the end of {callId}", () => call.ToJsonString());
        return call;
    }

    /// <summary>As if the time for which the call's assistant wants it kept were over, until nothing is left of its recording and its events.</summary>
    public async Task ForgetAsync(string callId)
    {
        await Host.SqlAsync("UPDATE session.sessions SET forget_at = now() - interval '1 second' WHERE call_id = $1 AND forget_at IS NOT NULL", callId);
        await Host.RunJobAsync("session.forget");
        await UntilAsync(async () => await Host.SqlAsync("SELECT recording_unwanted_at IS NOT NULL FROM call.calls WHERE id = $1", callId) is true, "the word that its recording is to go");
        await Host.RunJobAsync("call.remove-recordings");
        await UntilAsync(async () => (await Tenant.GetAsync($"/v1/calls/{callId}/recording")).Status is System.Net.HttpStatusCode.NotFound, "the end of the recording");
        await UntilAsync(
            async () =>
            {
                await Host.RunJobAsync("session.forget");      // What was on its way has arrived since.
                return (await Tenant.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray().All(e => e!["subject_id"]!.GetValue<string>() != callId);
            },
            "the end of its events");
    }

    public async Task UntilAsync(Func<Task<bool>> condition, string what, Func<string>? facts = null)
    {
        while (!await condition())
        {
            Assert.That(Patience.IsCancellationRequested, Is.False, $"Not in time: {what}. {facts?.Invoke()}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }
    }

    /// <summary>Speaks into the phone in another voice than the assistant's.</summary>
    public async Task SayAsync(TestPhoneCall call, string text)
    {
        var sound = new List<short>();
        await foreach (var piece in _flite.Voice("rms", 1).SpeakAsync(text, Patience))
        {
            sound.AddRange(piece.Span);
        }

        await call.SpeakAsync(sound.ToArray(), 16_000, Patience);
    }

    /// <summary>Waits until something was heard at the phone, and then silence for so long.</summary>
    public async Task HearOutAsync(TestPhoneCall call, double silence = 0.8)
    {
        var from = call.Heard.Length;
        await UntilAsync(
            () =>
            {
                var heard = call.HeardSince(from);
                var last = Array.FindLastIndex(heard, sample => Math.Abs((int)sample) > 400);
                return Task.FromResult(call.Ended.IsCompleted || (last >= 0 && heard.Length - last > call.Rate * silence));
            },
            "the end of what the assistant says");
    }

    /// <summary>Nothing is held for calls that are over, and the ledger is whole.</summary>
    public async Task AssertMoneyAsync()
    {
        Assert.That((await Tenant.BalanceAsync()).Held, Is.Zero, "held for calls that are over");
        Assert.That((await Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);
    }

    /// <summary>The one webhook of the call, and no second one.</summary>
    public async Task<JsonNode> WebhookAsync(string callId)
    {
        var received = (await Webhooks.NextAsync()).Json;
        Assert.That((received["type"]!.GetValue<string>(), received["subject_id"]!.GetValue<string>()), Is.EqualTo(("call.completed", callId)));
        Assert.That(Webhooks.IsEmpty, Is.True, "one webhook a call");
        return received["data"]!;
    }

    public async ValueTask DisposeAsync()
    {
        await Phone.DisposeAsync();
        await Host.DisposeAsync();
        await Webhooks.DisposeAsync();
        _patience.Dispose();
    }
}
