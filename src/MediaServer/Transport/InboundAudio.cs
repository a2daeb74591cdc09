#pragma warning disable CA1822 // the surface; bodies follow
namespace VoicePlatform.MediaServer.Transport;

/// <summary>A published audio track as it arrives at the server.</summary>
internal sealed class InboundAudio
{
    internal InboundAudio(string mid, string mime) => (Mid, Mime) = (mid, mime);

    public string Mid { get; }

    public string Mime { get; }

    public bool Muted { get; set; }

    public bool Enabled { get; set; } = true;

    public byte AudioLevel => 127;

    public long PacketsReceived => 0;

    public long BytesReceived => 0;

    public long PacketsLost => 0;

    public double ReadLevel() => 0;

    public IDisposable AddSink(IAudioSink sink) => throw new NotSupportedException();
}
