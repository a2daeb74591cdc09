using System.Net;
using System.Text.Json.Nodes;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>The host on a scripted LiveKit server, a tenant with an assistant and a trunk, and the agent's side of conversations.</summary>
internal sealed class PhoneBench : IAsyncDisposable
{
    public const string From = "+15550100";
    public const string To = "+15550177";

    private PhoneBench(FakeLiveKit livekit, TestHost host) => (LiveKit, Host) = (livekit, host);

    public FakeLiveKit LiveKit { get; }

    public TestHost Host { get; }

    public TestTenant Tenant { get; private set; } = null!;

    public string Assistant { get; private set; } = "";

    public string Trunk { get; private set; } = "";

    /// <summary>What was dialled over the tenant's trunk.</summary>
    public IReadOnlyList<CreateSIPParticipantRequest> Dialed =>
        [.. LiveKit.Dialed.Where(d => LiveKit.OutboundTrunks[d.SipTrunkId].Metadata.Contains(Trunk, StringComparison.Ordinal))];

    public static async Task<PhoneBench> StartAsync(params (string, string)[] settings)
    {
        var livekit = await FakeLiveKit.StartAsync();
        var bench = new PhoneBench(livekit, await TestHost.StartAsync([.. livekit.Settings, .. settings]));
        await bench.RenewAsync();
        return bench;
    }

    /// <summary>For the next test: a tenant of its own, and a LiveKit that is up, has agents, and whose callees answer.</summary>
    public async Task RenewAsync()
    {
        (LiveKit.OnDial, LiveKit.AgentsCome, LiveKit.IsDown) = ((_, _) => Task.CompletedTask, true, false);
        Tenant = await Host.SignUpAsync();
        Assistant = await Tenant.CreateAssistantAsync();
        Trunk = await TrunkAsync(Tenant);
    }

    public static async Task<string> TrunkAsync(TestTenant tenant, double? callsPerSecond = null, int? maxConcurrent = null)
    {
        var made = await tenant.PostAsync("/v1/trunks", new
        {
            name = "Line", type = "generic", direction = "outbound", address = "127.0.0.1:5070", transport = "udp", numbers = new[] { From },
            calls_per_second = callsPerSecond, max_concurrent = maxConcurrent,
        });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        var id = made.Get<string>("id");
        Assert.That(async () => (await tenant.GetAsync($"/v1/trunks/{id}")).Body!["sync"]!["status"]!.GetValue<string>(), Is.EqualTo("synced").After(20_000, 50));
        return id;
    }

    /// <summary>Places a call with the usual fields and those given.</summary>
    public async Task<string> CallAsync(object? more = null, TestTenant? by = null, string? assistant = null, string? trunk = null)
    {
        var answer = await (by ?? Tenant).PostAsync("/v1/calls", Body(more, assistant, trunk).ToJsonString());
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Accepted), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    public JsonObject Body(object? more = null, string? assistant = null, string? trunk = null)
    {
        var body = new JsonObject { ["assistant_id"] = assistant ?? Assistant, ["trunk_id"] = trunk ?? Trunk, ["to_number"] = To };
        foreach (var (name, value) in System.Text.Json.JsonSerializer.SerializeToNode(more ?? new { })!.AsObject())
        {
            body[name] = value?.DeepClone();
        }

        return body;
    }

    public async Task<JsonNode> GetAsync(string callId) => (await Tenant.GetAsync($"/v1/calls/{callId}")).Body!;

    /// <summary>The call, once it has come so far.</summary>
    public async Task<JsonNode> UntilAsync(string callId, params string[] statuses)
    {
        JsonNode call = null!;
        for (var n = 0; n < 600; n++)
        {
            call = await GetAsync(callId);
            if (statuses.Contains(call["status"]!.GetValue<string>()))
            {
                return call;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }

        Assert.Fail($"The call did not become {string.Join(" or ", statuses)}: {call.ToJsonString()}");
        return call;
    }

    public async Task<Result<T>> SendAsync<T>(IRequest<Result<T>> request)
    {
        await using var scope = Host.Services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<IMediator>().Send(request);
    }

    /// <summary>What the agent would report: both said a line, and it ends.</summary>
    public async Task TalkAsync(string sessionId, string reason = EndReasons.AssistantEnded)
    {
        var now = TimeProvider.System.GetUtcNow();
        await SendAsync(new ReportProgress(
            sessionId,
            [new(1, 1, Speaker.Agent, "Hello.", now, now, false), new(2, 1, Speaker.User, "Hi.", now, now, false)],
            [], [new("llm_input", "local", "script", "token", 100)], [], CallerPresent: true));
        Assert.That((await SendAsync(new FinishSession(sessionId, reason))).IsOk);
    }

    public async Task<List<JsonNode>> EventsAsync(string callId, string type) =>
        (await Tenant.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray().Select(e => e!)
        .Where(e => e["subject_id"]!.GetValue<string>() == callId && e["type"]!.GetValue<string>() == type).ToList();

    public async Task<long> CountAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(Host.Database.Owner);
        await using var command = source.CreateCommand(sql);
        return Convert.ToInt64(await command.ExecuteScalarAsync());
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(Host.Database.Owner);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public static WebhookEvent Ring(string room, string trunk, string called, string calling = "+15550199", string? id = null) => new()
    {
        Id = id ?? $"EV_{room}",
        Event = "participant_joined",
        CreatedAt = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(),
        Room = new Room { Name = room },
        Participant = new ParticipantInfo
        {
            Identity = $"sip_{calling}",
            Kind = ParticipantInfo.Types.Kind.Sip,
            Attributes =
            {
                ["sip.trunkID"] = trunk, ["sip.trunkPhoneNumber"] = called, ["sip.phoneNumber"] = calling, ["sip.callID"] = "SCL_1", ["sip.callStatus"] = "ringing",
            },
        },
    };

    public async ValueTask DisposeAsync()
    {
        await LiveKit.DisposeAsync();
        await Host.DisposeAsync();
    }
}
