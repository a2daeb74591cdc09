using VoicePlatform.MediaServer.Sip.Media.Codecs;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>Mixed sound, encoded: one channel, or two apart.</summary>
internal sealed unsafe class Mix : IDisposable
{
    /// <summary>Hz. Twelve kilohertz of sound: more than telephones and voices have, at half the cost of 48 kHz.</summary>
    public const int Rate = 24_000;

    /// <summary>Samples of a frame of 20 ms.</summary>
    public const int FrameSamples = Rate / 50;

    private const int BitratePerChannel = 32_000;
    private const int Complexity = 5;
    private const int MaxPacket = 1_275;

    private readonly short[] _pcm;
    private readonly byte[] _packet = new byte[MaxPacket];
    private nint _encoder;

    public Mix(int channels)
    {
        var error = 0;
        _encoder = LibOpus.opus_encoder_create(Rate, channels, LibOpus.Voip, &error);
        if (_encoder == 0)
        {
            throw new InvalidOperationException($"libopus refused an encoder with error {error}.");
        }

        _ = LibOpus.opus_encoder_ctl(_encoder, LibOpus.SetBitrate, BitratePerChannel * channels);
        _ = LibOpus.opus_encoder_ctl(_encoder, LibOpus.SetComplexity, Complexity);
        (Channels, _pcm) = (channels, new short[FrameSamples * channels]);
    }

    public int Channels { get; }

    /// <summary>One frame.</summary>
    /// <param name="sums">Each channel's samples, added up; channel after channel.</param>
    /// <returns>The packet; valid until the next call.</returns>
    public ReadOnlySpan<byte> Encode(ReadOnlySpan<int> sums)
    {
        for (var channel = 0; channel < Channels; channel++)
        {
            for (var i = 0; i < FrameSamples; i++)
            {
                _pcm[(i * Channels) + channel] = (short)Math.Clamp(sums[(channel * FrameSamples) + i], short.MinValue, short.MaxValue);
            }
        }

        ObjectDisposedException.ThrowIf(_encoder == 0, this);
        fixed (short* pcm = _pcm)
        fixed (byte* packet = _packet)
        {
            return _packet.AsSpan(0, Math.Max(0, LibOpus.opus_encode(_encoder, pcm, FrameSamples, packet, MaxPacket)));
        }
    }

    public void Dispose()
    {
        if (_encoder != 0)
        {
            LibOpus.opus_encoder_destroy(_encoder);
            _encoder = 0;
        }
    }
}
