using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.ServerApi;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Sip;

/// <summary>
/// Between telephones and rooms: dials what LiveKit's SIP API asks for, and takes in what trunks and dispatch rules let in. Behaves
/// as LiveKit's SIP service does.
/// </summary>
internal sealed partial class SipGateway : IIncomingCalls, IAsyncDisposable
{
    private static readonly TimeSpan DefaultTransfer = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private readonly RoomDirectory _rooms;
    private readonly SipDirectory _directory;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly UserAgent _agent;
    private readonly PhoneMedia _phones;
    private readonly SipRegistrations _registrations;
    private readonly ConcurrentDictionary<PhoneLeg, Task> _legs = new();
    private volatile bool _isStopping;

    public SipGateway(UserAgentOptions signalling, PhoneMediaOptions media, RoomDirectory rooms, SipDirectory directory, TimeProvider clock, ILoggerFactory logs)
    {
        (_rooms, _directory, _clock, _log) = (rooms, directory, clock, logs.CreateLogger<SipGateway>());
        _agent = new UserAgent(signalling, this, clock, logs);
        _phones = new PhoneMedia(media, clock, logs);
        _registrations = new SipRegistrations(_agent, _log);
    }

    /// <summary>The SIP port, once started.</summary>
    public int Port => _agent.Port;

    /// <summary>Telephones in rooms now.</summary>
    public int Calls => _legs.Count;

    /// <summary>What the audio of each telephone went through so far.</summary>
    public IReadOnlyList<PhoneStatistics> Statistics => [.. _legs.Keys.Select(leg => leg.Statistics).OfType<PhoneStatistics>()];

    public void Start()
    {
        _phones.Start();
        _agent.Start();
        _directory.OutboundChanged = () => _registrations.Follow(() => _directory.Outbound);
    }

    /// <summary>Rings a telephone and lets it into a room. Not tied to the request: who asked may be gone when the telephone answers.</summary>
    /// <exception cref="TwirpException">The request is wrong, or the telephone was not reached and the caller waited for it.</exception>
    public async Task<SIPParticipantInfo> DialAsync(CreateSIPParticipantRequest request)
    {
        var dial = OutboundDial.Compose(request, _directory.FindOutbound(request.SipTrunkId));
        var leg = new OutboundLeg(dial, _clock, _log);
        try
        {
            var room = _rooms.GetOrCreate(new RoomConfiguration(), request.RoomName, out _);
            await leg.JoinAsync(room, _phones, CancellationToken.None);
        }
        catch (Exception e) when (e is PhoneMediaException or RoomClosedException or ObjectDisposedException)
        {
            await leg.DisposeAsync();
            throw new TwirpException(TwirpCode.Unavailable, e is PhoneMediaException ? e.Message : "the room ended before the call began");
        }

        Keep(leg, leg.RunAsync(_agent));
        if (request.WaitUntilAnswered && await leg.Answer is { } failure)
        {
            throw failure.ToException("INVITE");
        }

        return new SIPParticipantInfo
        {
            ParticipantId = leg.Participant.Sid,
            ParticipantIdentity = leg.Identity,
            RoomName = request.RoomName,
            SipCallId = leg.CallId,
        };
    }

    /// <summary>Asks the other side's exchange to connect the telephone elsewhere, and lets it go when that has worked.</summary>
    public async Task<TransferSIPParticipantResponse> TransferAsync(TransferSIPParticipantRequest request, CancellationToken cancellationToken)
    {
        if (!request.TransferTo.StartsWith("tel:", StringComparison.OrdinalIgnoreCase) && !request.TransferTo.StartsWith("sip:", StringComparison.OrdinalIgnoreCase)
            && !request.TransferTo.StartsWith("sips:", StringComparison.OrdinalIgnoreCase))
        {
            throw new TwirpException(TwirpCode.InvalidArgument, "transfer_to must be a tel: or sip: URI");
        }

        var leg = _legs.Keys.FirstOrDefault(l => l.IsIn(request.RoomName, request.ParticipantIdentity) && !l.HasEnded) ?? throw TwirpException.NoParticipant();
        var timeout = MediaTerms.Of(request.RingingTimeout) ?? DefaultTransfer;
        var outcome = await leg.TransferAsync(request.TransferTo, [.. request.Headers.Select(h => (h.Key, h.Value))], timeout, cancellationToken);
        if (!outcome.IsTransferred && !(outcome.Kind is ReferKind.Unreported && leg.HasEnded))
        {
            // Exchanges that take the call over without a report hang up instead.
            throw SipFailure.OfStatus(outcome.Status >= 300 ? outcome.Status : 408, outcome.Reason).ToException("REFER");
        }

        leg.End(new LegEnd(DisconnectReason.ClientInitiated, ByTelephone: false, "The call was transferred."));
        return new TransferSIPParticipantResponse
        {
            TransferId = Sid.Transfer(),
            Status = SIPTransferStatus.StsTransferSuccessful,
            Reason = SIPTransferReason.StrCompleted,
            SipStatus = new SIPStatus { Code = (SIPStatusCode)outcome.Status, Status = outcome.Reason },
        };
    }

    Task IIncomingCalls.OnInviteAsync(IncomingCall call, CancellationToken cancellationToken)
    {
        if (_isStopping)
        {
            call.Reject(503, "Service Unavailable", []);
            return Task.CompletedTask;
        }

        var (from, to) = (call.From.Uri.User, call.RequestUri.User);
        if (_directory.Match(from, to, call.Source.Address) is not { } trunk)
        {
            // Who may not call learns no more than that.
            LogStranger(_log, call.Source.Address, _directory.Knows(to));
            call.Reject(_directory.Knows(to) ? 403 : 404, _directory.Knows(to) ? "Forbidden" : "Not Found", []);
            return Task.CompletedTask;
        }

        if (trunk.AuthUsername.Length > 0 && !call.Authenticate(trunk.AuthUsername, trunk.AuthPassword, RealmOf(trunk, call)))
        {
            call.Challenge(RealmOf(trunk, call));
            return Task.CompletedTask;
        }

        var rules = _directory.RulesFor(trunk.SipTrunkId, from, to);
        if (rules.Count == 0)
        {
            LogNoRule(_log, trunk.SipTrunkId);
            call.Reject(404, "Not Found", []);
            return Task.CompletedTask;
        }

        var leg = new InboundLeg(InboundRoute.Of(call, trunk, rules), call, _clock, _log);
        Keep(leg, leg.RunAsync(_phones, Enter));
        return leg.Decided;
    }

    public async ValueTask DisposeAsync()
    {
        _isStopping = true;
        _directory.OutboundChanged = null;
        await _registrations.DisposeAsync().AsTask().WaitAsync(StopPatience, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var leg in _legs.Keys)
        {
            leg.End(new LegEnd(DisconnectReason.ServerShutdown, ByTelephone: false, "The server stops."));
        }

        await Task.WhenAll(_legs.Values).WaitAsync(StopPatience, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _agent.DisposeAsync();
        await _phones.DisposeAsync();
    }

    private static string RealmOf(SIPInboundTrunkInfo trunk, IncomingCall call) => trunk.AuthRealm.Length > 0 ? trunk.AuthRealm : call.RequestUri.Host;

    /// <summary>The room a rule leads to, made as the rule describes it.</summary>
    private Room Enter(InboundRoute route, SIPDispatchRuleInfo rule)
    {
        var room = _rooms.GetOrCreate(rule.RoomConfig?.Clone() ?? new RoomConfiguration(), route.RoomOf(rule.Rule), out _);
        return room;
    }

    private void Keep(PhoneLeg leg, Task running)
    {
        // A call may be over before this line is: it is taken out only after it was put in.
        var kept = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _legs[leg] = RunAsync();
        kept.SetResult();

        async Task RunAsync()
        {
            await kept.Task;
            await running;
            _legs.TryRemove(leg, out _);
            await leg.DisposeAsync();
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "A call from {Address} was refused: no trunk takes it (number known: {Known})")]
    private static partial void LogStranger(ILogger log, IPAddress address, bool known);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A call of trunk {TrunkId} was refused: no dispatch rule takes it")]
    private static partial void LogNoRule(ILogger log, string trunkId);
}
