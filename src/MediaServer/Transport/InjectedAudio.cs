using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.MediaServer.Transport;

/// <summary>A track whose audio comes from inside this process (a telephone leg). Peers subscribe to <see cref="Track"/> as to any other.</summary>
internal sealed class InjectedAudio : IOpusOut
{
    private const byte OpusType = 111;
    private const int LevelId = 1;
    private const int MaxFrame = 1_275;

    private readonly uint _ssrc = (uint)RandomNumberGenerator.GetInt32(1, int.MaxValue);
    private ushort _sequence;
    private uint _timestamp;
    private bool _isFirst = true;

    internal InjectedAudio(string name, MediaClock clock) =>
        Track = new InboundAudio(name, new AudioFormat(OpusType, Red: null, LevelId, MidId: 0), clock);

    public InboundAudio Track { get; }

    /// <inheritdoc />
    /// <remarks>Goes to all subscribers at once; allocates nothing.</remarks>
    [SkipLocalsInit]
    public void Send(ReadOnlySpan<byte> opus, uint samples, byte level)
    {
        if (opus.Length > MaxFrame)
        {
            throw new ArgumentException($"An Opus frame has at most {MaxFrame} bytes.", nameof(opus));
        }

        Span<byte> packet = stackalloc byte[MaxFrame + 64];
        var header = RtpPacket.WriteHeader(packet, OpusType, _isFirst, _sequence++, _timestamp, _ssrc, LevelId, level, 0, default);
        opus.CopyTo(packet[header..]);
        (_isFirst, _timestamp) = (false, _timestamp + samples);
        if (RtpPacket.TryRead(packet[..(header + opus.Length)], out var rtp))
        {
            Track.Receive(rtp);
        }
    }

    /// <inheritdoc />
    public void Skip(uint samples) => _timestamp += samples;
}
