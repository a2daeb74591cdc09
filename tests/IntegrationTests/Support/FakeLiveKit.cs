using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;

namespace VoicePlatform.IntegrationTests.Support;

/// <summary>A Twirp refusal, as LiveKit's server gives it.</summary>
internal sealed class TwirpRefusal(HttpStatusCode status, string code, string message, int? sipStatus = null, string? sipReason = null) : Exception(message)
{
    public HttpStatusCode Status { get; } = status;

    public string Body { get; } = JsonSerializer.Serialize(new
    {
        code,
        msg = message,
        meta = sipStatus is null ? [] : new Dictionary<string, string> { ["sip_status_code"] = sipStatus.Value.ToString(null, null), ["sip_status"] = sipReason ?? "" },
    });

    /// <summary>The callee's or carrier's answer to the INVITE.</summary>
    public static TwirpRefusal Sip(int status, string reason) =>
        status switch
        {
            486 => new(HttpStatusCode.TooManyRequests, "resource_exhausted", $"INVITE failed: sip status: {status}: {reason}", status, reason),
            408 => new(HttpStatusCode.RequestTimeout, "deadline_exceeded", $"INVITE failed: sip status: {status}: {reason}", status, reason),
            487 => new(HttpStatusCode.RequestTimeout, "canceled", $"INVITE failed: sip status: {status}: {reason}", status, reason),
            _ => new(HttpStatusCode.ServiceUnavailable, "unavailable", $"INVITE failed: sip status: {status}: {reason}", status, reason),
        };

    public static TwirpRefusal NotFound(string what) => new(HttpStatusCode.NotFound, "not_found", $"{what} does not exist");
}

/// <summary>A LiveKit server API that speaks true Twirp over protobuf and does what the test tells it. No media.</summary>
internal sealed class FakeLiveKit : IAsyncDisposable
{
    public static readonly ApiKey Key = new("APIfake", "secret-of-the-fake-livekit-server");

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _ringing = new();
    private int _count;

    private FakeLiveKit(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>What happens to a call: returns when answered, throws a refusal, or waits for the token (the room's end).</summary>
    public Func<CreateSIPParticipantRequest, CancellationToken, Task> OnDial { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>Whether an agent that a room asks for comes.</summary>
    public bool AgentsCome { get; set; } = true;

    /// <summary>Refuses everything with 503.</summary>
    public bool IsDown { get; set; }

    public Func<TransferSIPParticipantRequest, TransferSIPParticipantResponse> OnTransfer { get; set; } =
        _ => new() { Status = SIPTransferStatus.StsTransferSuccessful };

    public Func<PerformRpcRequest, string> OnRpc { get; set; } = _ => "ok";

    public ConcurrentDictionary<string, ConcurrentBag<ParticipantInfo>> Rooms { get; } = new();
    public ConcurrentDictionary<string, SIPOutboundTrunkInfo> OutboundTrunks { get; } = new();
    public ConcurrentDictionary<string, SIPInboundTrunkInfo> InboundTrunks { get; } = new();
    public ConcurrentDictionary<string, SIPDispatchRuleInfo> Rules { get; } = new();
    public ConcurrentQueue<CreateSIPParticipantRequest> Dialed { get; } = new();
    public ConcurrentQueue<CreateAgentDispatchRequest> Dispatched { get; } = new();
    public ConcurrentQueue<RoomCompositeEgressRequest> Recorded { get; } = new();

    /// <summary>What it says of recordings it is asked for; null: those that were started are under way.</summary>
    public Func<ListEgressRequest, IEnumerable<EgressInfo>>? OnListEgress { get; set; }
    public ConcurrentQueue<string> DeletedRooms { get; } = new();
    public ConcurrentQueue<PerformRpcRequest> Rpcs { get; } = new();
    public ConcurrentQueue<(string Method, string Authorization)> Requests { get; } = new();

    public static async Task<FakeLiveKit> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var fake = new FakeLiveKit(builder.Build());
        fake._app.MapPost("/twirp/{service}/{method}", (HttpContext http, string method) => fake.AnswerAsync(http, method));
        await fake._app.StartAsync();
        return fake;
    }

    public (string, string)[] Settings => [("LIVEKIT_URL", Url), ("LIVEKIT_API_KEY", Key.Id), ("LIVEKIT_API_SECRET", Key.Secret)];

    /// <summary>Tells the host, signed as LiveKit signs; answers the host's status.</summary>
    public static async Task<HttpStatusCode> TellAsync(TestHost host, WebhookEvent webhook, string path = "/livekit/webhook", ApiKey? key = null)
    {
        var body = WebhookSigner.Serialize(webhook);
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(WebhookSigner.ContentType);
        request.Headers.TryAddWithoutValidation("Authorization", WebhookSigner.Sign(body, key ?? Key, TimeProvider.System.GetUtcNow()));
        using var response = await host.Http.SendAsync(request);
        return response.StatusCode;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var ringing in _ringing.Values)
        {
            await ringing.CancelAsync();
        }

        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http, string method)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        Requests.Enqueue((method, http.Request.Headers.Authorization.ToString()));
        try
        {
            if (IsDown)
            {
                throw new TwirpRefusal(HttpStatusCode.ServiceUnavailable, "unavailable", "down");
            }

            var answer = await AnswerAsync(method, body.ToArray());
            http.Response.ContentType = "application/protobuf";
            await http.Response.Body.WriteAsync(answer.ToByteArray());
        }
        catch (TwirpRefusal refusal)
        {
            http.Response.StatusCode = (int)refusal.Status;
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(refusal.Body);
        }
        catch (OperationCanceledException)
        {
            http.Abort();
        }
    }

    private async Task<IMessage> AnswerAsync(string method, byte[] body)
    {
        switch (method)
        {
            case "CreateRoom":
                var create = CreateRoomRequest.Parser.ParseFrom(body);
                var inRoom = Rooms.GetOrAdd(create.Name, _ => []);
                if (AgentsCome && create.Agents.Count > 0)
                {
                    inRoom.Add(Agent());
                }

                return new Room { Name = create.Name };
            case "DeleteRoom":
                var delete = DeleteRoomRequest.Parser.ParseFrom(body).Room;
                DeletedRooms.Enqueue(delete);
                if (_ringing.TryGetValue(delete, out var ringing))
                {
                    await ringing.CancelAsync();
                }

                return Rooms.TryRemove(delete, out _) ? new DeleteRoomResponse() : throw TwirpRefusal.NotFound("room");
            case "ListRooms":
                var names = ListRoomsRequest.Parser.ParseFrom(body).Names;
                return new ListRoomsResponse { Rooms = { Rooms.Keys.Where(r => names.Count == 0 || names.Contains(r)).Select(r => new Room { Name = r }) } };
            case "ListParticipants":
                return Rooms.TryGetValue(ListParticipantsRequest.Parser.ParseFrom(body).Room, out var participants)
                    ? new ListParticipantsResponse { Participants = { participants.ToArray() } }
                    : throw TwirpRefusal.NotFound("room");
            case "PerformRpc":
                var rpc = PerformRpcRequest.Parser.ParseFrom(body);
                Rpcs.Enqueue(rpc);
                return new PerformRpcResponse { Payload = OnRpc(rpc) };
            case "CreateDispatch":
                var dispatch = CreateAgentDispatchRequest.Parser.ParseFrom(body);
                Dispatched.Enqueue(dispatch);
                return new AgentDispatch { Room = dispatch.Room, AgentName = dispatch.AgentName, Metadata = dispatch.Metadata };
            case "ListDispatch":
                var of = ListAgentDispatchRequest.Parser.ParseFrom(body).Room;
                return new ListAgentDispatchResponse { AgentDispatches = { Dispatched.Where(d => d.Room == of).Select(d => new AgentDispatch { Room = d.Room, Metadata = d.Metadata }) } };
            case "StartRoomCompositeEgress":
                var record = RoomCompositeEgressRequest.Parser.ParseFrom(body);
                Recorded.Enqueue(record);
                return new EgressInfo { EgressId = $"EG_{record.RoomName}", RoomName = record.RoomName };
            case "ListEgress":
                var listed = ListEgressRequest.Parser.ParseFrom(body);
                return new ListEgressResponse { Items = { OnListEgress?.Invoke(listed) ?? Recorded.Where(r => r.RoomName == listed.RoomName || $"EG_{r.RoomName}" == listed.EgressId).Select(r => new EgressInfo { EgressId = $"EG_{r.RoomName}", RoomName = r.RoomName }) } };
            case "StopEgress":
                return new EgressInfo { EgressId = StopEgressRequest.Parser.ParseFrom(body).EgressId };
            case "TransferSIPParticipant":
                return OnTransfer(TransferSIPParticipantRequest.Parser.ParseFrom(body));
            case "CreateSIPParticipant":
                return await DialAsync(CreateSIPParticipantRequest.Parser.ParseFrom(body));
            default:
                return Trunks(method, body);
        }
    }

    private IMessage Trunks(string method, byte[] body)
    {
        switch (method)
        {
            case "CreateSIPOutboundTrunk":
                var outbound = CreateSIPOutboundTrunkRequest.Parser.ParseFrom(body).Trunk;
                outbound.SipTrunkId = NewId("ST_");
                return OutboundTrunks[outbound.SipTrunkId] = outbound;
            case "CreateSIPInboundTrunk":
                var inbound = CreateSIPInboundTrunkRequest.Parser.ParseFrom(body).Trunk;
                inbound.SipTrunkId = NewId("ST_");
                return InboundTrunks[inbound.SipTrunkId] = inbound;
            case "CreateSIPDispatchRule":
                var rule = CreateSIPDispatchRuleRequest.Parser.ParseFrom(body).DispatchRule;
                rule.SipDispatchRuleId = NewId("SDR_");
                return Rules[rule.SipDispatchRuleId] = rule;
            case "UpdateSIPOutboundTrunk":
                var updateOut = UpdateSIPOutboundTrunkRequest.Parser.ParseFrom(body);
                updateOut.Replace.SipTrunkId = updateOut.SipTrunkId;
                return OutboundTrunks.ContainsKey(updateOut.SipTrunkId) ? OutboundTrunks[updateOut.SipTrunkId] = updateOut.Replace : throw TwirpRefusal.NotFound("trunk");
            case "UpdateSIPInboundTrunk":
                var updateIn = UpdateSIPInboundTrunkRequest.Parser.ParseFrom(body);
                updateIn.Replace.SipTrunkId = updateIn.SipTrunkId;
                return InboundTrunks.ContainsKey(updateIn.SipTrunkId) ? InboundTrunks[updateIn.SipTrunkId] = updateIn.Replace : throw TwirpRefusal.NotFound("trunk");
            case "UpdateSIPDispatchRule":
                var updateRule = UpdateSIPDispatchRuleRequest.Parser.ParseFrom(body);
                updateRule.Replace.SipDispatchRuleId = updateRule.SipDispatchRuleId;
                return Rules.ContainsKey(updateRule.SipDispatchRuleId) ? Rules[updateRule.SipDispatchRuleId] = updateRule.Replace : throw TwirpRefusal.NotFound("rule");
            case "ListSIPOutboundTrunk":
                return new ListSIPOutboundTrunkResponse { Items = { OutboundTrunks.Values } };
            case "ListSIPInboundTrunk":
                return new ListSIPInboundTrunkResponse { Items = { InboundTrunks.Values } };
            case "ListSIPDispatchRule":
                return new ListSIPDispatchRuleResponse { Items = { Rules.Values } };
            case "DeleteSIPTrunk":
                var trunkId = DeleteSIPTrunkRequest.Parser.ParseFrom(body).SipTrunkId;
                return OutboundTrunks.TryRemove(trunkId, out _) || InboundTrunks.TryRemove(trunkId, out _) ? new SIPTrunkInfo { SipTrunkId = trunkId } : throw TwirpRefusal.NotFound("trunk");
            case "DeleteSIPDispatchRule":
                var ruleId = DeleteSIPDispatchRuleRequest.Parser.ParseFrom(body).SipDispatchRuleId;
                return Rules.TryRemove(ruleId, out var removed) ? removed : throw TwirpRefusal.NotFound("rule");
            default:
                throw new TwirpRefusal(HttpStatusCode.NotFound, "bad_route", method);
        }
    }

    private async Task<SIPParticipantInfo> DialAsync(CreateSIPParticipantRequest request)
    {
        if (!OutboundTrunks.ContainsKey(request.SipTrunkId))
        {
            throw TwirpRefusal.NotFound("trunk");
        }

        var ringing = new CancellationTokenSource();     // Never disposed: whoever ends the room may have it in hand when the call is over already.
        _ringing[request.RoomName] = ringing;
        Dialed.Enqueue(request);        // Who sees it may end it.
        try
        {
            await OnDial(request, ringing.Token);
        }
        catch (OperationCanceledException) when (ringing.IsCancellationRequested)
        {
            throw TwirpRefusal.Sip(487, "Request Terminated");
        }
        finally
        {
            _ringing.TryRemove(request.RoomName, out _);
        }

        Rooms.GetOrAdd(request.RoomName, _ => []).Add(new ParticipantInfo { Identity = request.ParticipantIdentity, Kind = ParticipantInfo.Types.Kind.Sip });
        return new SIPParticipantInfo { ParticipantIdentity = request.ParticipantIdentity, RoomName = request.RoomName, SipCallId = NewId("SCL_") };
    }

    private static ParticipantInfo Agent() => new()
    {
        Identity = "assistant-ai-agent", Kind = ParticipantInfo.Types.Kind.Agent, Tracks = { new TrackInfo { Sid = "TR_agent", Type = TrackType.Audio } },
    };

    private string NewId(string prefix) => $"{prefix}{Interlocked.Increment(ref _count):x8}";
}
