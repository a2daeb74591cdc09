#pragma warning disable CA1822 // the surface; bodies follow
using Microsoft.Extensions.Logging;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>One UDP port for all peers.</summary>
internal sealed class MediaTransport(TransportOptions options, TimeProvider clock, ILoggerFactory logs) : IAsyncDisposable
{
    public int UdpPort => throw new NotSupportedException($"{options} {clock} {logs}");

    public void Start() => throw new NotSupportedException();

    public PeerConnection CreatePeer(IPeerObserver observer) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
