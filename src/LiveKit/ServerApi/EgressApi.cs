using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>Recordings and streams.</summary>
public readonly struct EgressApi
{
    private static readonly AccessToken Record = new() { Video = new VideoGrant { RoomRecord = true } };

    // A recorder has to be found and to start before LiveKit answers.
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private readonly TwirpClient _twirp;

    internal EgressApi(TwirpClient twirp) => _twirp = twirp;

    public Task<EgressInfo> StartAsync(StartEgressRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<EgressInfo>("livekit.Egress/StartEgress", request, Record, Repeat.Never, cancellationToken, StartTimeout);

    public Task<EgressInfo> StartRoomCompositeAsync(RoomCompositeEgressRequest request, CancellationToken cancellationToken) =>
        _twirp.CallAsync<EgressInfo>("livekit.Egress/StartRoomCompositeEgress", request, Record, Repeat.Never, cancellationToken, StartTimeout);

    public Task<EgressInfo> StopAsync(string egressId, CancellationToken cancellationToken) =>
        _twirp.CallAsync<EgressInfo>(
            "livekit.Egress/StopEgress", new StopEgressRequest { EgressId = egressId }, Record, Repeat.Safe, cancellationToken);

    public async Task<IReadOnlyList<EgressInfo>> ListAsync(ListEgressRequest request, CancellationToken cancellationToken) =>
        (await _twirp.CallAsync<ListEgressResponse>("livekit.Egress/ListEgress", request, Record, Repeat.Safe, cancellationToken)).Items;
}
