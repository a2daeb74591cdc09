#pragma warning disable CA1822 // the surface; bodies follow
namespace VoicePlatform.MediaServer.Transport;

/// <summary>One WebRTC peer connection in which the client always offers. Thread-safe.</summary>
internal sealed class PeerConnection : IAsyncDisposable
{
    public PeerState State => throw new NotSupportedException();

    public int MissingAudioSections => throw new NotSupportedException();

    public bool NeedsNegotiation => throw new NotSupportedException();

    public PeerStats Stats => throw new NotSupportedException();

    /// <summary>Applies an offer (first, further, or ICE restart) and answers it.</summary>
    /// <param name="offerSdp">The client's offer.</param>
    /// <param name="plainOpus">Track ids (cids) that must not be published with RED (AddTrackRequest.disable_red).</param>
    /// <exception cref="SdpException">The offer cannot be understood; the peer stays as it was.</exception>
    public Negotiated Negotiate(string offerSdp, IReadOnlySet<string>? plainOpus = null) => throw new NotSupportedException();

    public void AddRemoteCandidate(string candidate) => throw new NotSupportedException();

    public Subscription Subscribe(InboundAudio source, string streamId, string trackSid) => throw new NotSupportedException();

    public void Unsubscribe(Subscription subscription) => throw new NotSupportedException();

    public bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
