using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>Trunks, dispatch rules and telephone participants.</summary>
public readonly struct SipApi
{
    private static readonly AccessToken Admin = new() { Sip = new SipGrant { Admin = true } };

    private static readonly AccessToken Call = new() { Sip = new SipGrant { Call = true } };

    // LiveKit's own upper limit for ringing, and its time for a transfer, where the request names none.
    private static readonly TimeSpan LongestRinging = TimeSpan.FromSeconds(80);

    private static readonly TimeSpan DefaultTransfer = TimeSpan.FromSeconds(30);

    private readonly TwirpClient _twirp;

    internal SipApi(TwirpClient twirp) => _twirp = twirp;

    public Task<SIPInboundTrunkInfo> CreateInboundTrunkAsync(SIPInboundTrunkInfo trunk, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPInboundTrunkInfo>("CreateSIPInboundTrunk", new CreateSIPInboundTrunkRequest { Trunk = trunk }, Repeat.Never, cancellationToken);

    public Task<SIPOutboundTrunkInfo> CreateOutboundTrunkAsync(SIPOutboundTrunkInfo trunk, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPOutboundTrunkInfo>("CreateSIPOutboundTrunk", new CreateSIPOutboundTrunkRequest { Trunk = trunk }, Repeat.Never, cancellationToken);

    public Task<SIPInboundTrunkInfo> UpdateInboundTrunkAsync(UpdateSIPInboundTrunkRequest request, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPInboundTrunkInfo>("UpdateSIPInboundTrunk", request, Repeat.Safe, cancellationToken);

    public Task<SIPOutboundTrunkInfo> UpdateOutboundTrunkAsync(UpdateSIPOutboundTrunkRequest request, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPOutboundTrunkInfo>("UpdateSIPOutboundTrunk", request, Repeat.Safe, cancellationToken);

    public async Task<SIPInboundTrunkInfo> GetInboundTrunkAsync(string trunkId, CancellationToken cancellationToken) =>
        (await AdminCallAsync<GetSIPInboundTrunkResponse>(
            "GetSIPInboundTrunk", new GetSIPInboundTrunkRequest { SipTrunkId = trunkId }, Repeat.Safe, cancellationToken)).Trunk;

    public async Task<SIPOutboundTrunkInfo> GetOutboundTrunkAsync(string trunkId, CancellationToken cancellationToken) =>
        (await AdminCallAsync<GetSIPOutboundTrunkResponse>(
            "GetSIPOutboundTrunk", new GetSIPOutboundTrunkRequest { SipTrunkId = trunkId }, Repeat.Safe, cancellationToken)).Trunk;

    public async Task<IReadOnlyList<SIPInboundTrunkInfo>> ListInboundTrunksAsync(ListSIPInboundTrunkRequest request, CancellationToken cancellationToken) =>
        (await AdminCallAsync<ListSIPInboundTrunkResponse>("ListSIPInboundTrunk", request, Repeat.Safe, cancellationToken)).Items;

    public async Task<IReadOnlyList<SIPOutboundTrunkInfo>> ListOutboundTrunksAsync(ListSIPOutboundTrunkRequest request, CancellationToken cancellationToken) =>
        (await AdminCallAsync<ListSIPOutboundTrunkResponse>("ListSIPOutboundTrunk", request, Repeat.Safe, cancellationToken)).Items;

    /// <summary>Deletes a trunk of either direction.</summary>
    public Task<SIPTrunkInfo> DeleteTrunkAsync(string trunkId, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPTrunkInfo>("DeleteSIPTrunk", new DeleteSIPTrunkRequest { SipTrunkId = trunkId }, Repeat.Safe, cancellationToken);

    public Task<SIPDispatchRuleInfo> CreateDispatchRuleAsync(SIPDispatchRuleInfo rule, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPDispatchRuleInfo>("CreateSIPDispatchRule", new CreateSIPDispatchRuleRequest { DispatchRule = rule }, Repeat.Never, cancellationToken);

    public Task<SIPDispatchRuleInfo> UpdateDispatchRuleAsync(UpdateSIPDispatchRuleRequest request, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPDispatchRuleInfo>("UpdateSIPDispatchRule", request, Repeat.Safe, cancellationToken);

    public async Task<IReadOnlyList<SIPDispatchRuleInfo>> ListDispatchRulesAsync(ListSIPDispatchRuleRequest request, CancellationToken cancellationToken) =>
        (await AdminCallAsync<ListSIPDispatchRuleResponse>("ListSIPDispatchRule", request, Repeat.Safe, cancellationToken)).Items;

    public Task<SIPDispatchRuleInfo> DeleteDispatchRuleAsync(string ruleId, CancellationToken cancellationToken) =>
        AdminCallAsync<SIPDispatchRuleInfo>(
            "DeleteSIPDispatchRule", new DeleteSIPDispatchRuleRequest { SipDispatchRuleId = ruleId }, Repeat.Safe, cancellationToken);

    /// <summary>
    /// Dials a number. Never repeated: a second request would ring the number twice. When <see cref="LiveKitApiException.OutcomeKnown"/>
    /// is false, the telephone may be ringing.
    /// </summary>
    public Task<SIPParticipantInfo> CreateParticipantAsync(CreateSIPParticipantRequest request, CancellationToken cancellationToken)
    {
        var answer = request.WaitUntilAnswered ? OrDefault(request.RingingTimeout, LongestRinging) : TimeSpan.Zero;
        return _twirp.CallAsync<SIPParticipantInfo>(
            "livekit.SIP/CreateSIPParticipant", request, Call, Repeat.Never, cancellationToken, answer + TwirpClient.DefaultTimeout);
    }

    /// <summary>Hands a telephone participant over to another number; not repeated.</summary>
    public Task<TransferSIPParticipantResponse> TransferParticipantAsync(TransferSIPParticipantRequest request, CancellationToken cancellationToken)
    {
        var grants = Grants.Admin(request.RoomName) with { Sip = new SipGrant { Call = true } };
        var timeout = OrDefault(request.RingingTimeout, DefaultTransfer) + TwirpClient.DefaultTimeout;
        return _twirp.CallAsync<TransferSIPParticipantResponse>(
            "livekit.SIP/TransferSIPParticipant", request, grants, Repeat.Never, cancellationToken, timeout);
    }

    private static TimeSpan OrDefault(Duration? given, TimeSpan otherwise) => given is { Seconds: > 0 } ? given.ToTimeSpan() : otherwise;

    private Task<TResponse> AdminCallAsync<TResponse>(string method, IMessage request, Repeat repeat, CancellationToken cancellationToken)
        where TResponse : IMessage<TResponse>, new() =>
        _twirp.CallAsync<TResponse>("livekit.SIP/" + method, request, Admin, repeat, cancellationToken);
}
