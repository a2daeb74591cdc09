namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>ITU-T G.722 at 64 kbit/s (mode 1): 16 kHz, one byte for two samples.</summary>
internal sealed class G722Encoder : IVoiceEncoder
{
    private readonly G722Band _low = G722Tables.Low();
    private readonly G722Band _high = G722Tables.High();
    private readonly int[] _window = new int[G722Tables.FilterTaps];

    public int Rate => 16_000;

    public int Encode(ReadOnlySpan<short> pcm, Span<byte> payload)
    {
        var bytes = pcm.Length / 2;
        for (var i = 0; i < bytes; i++)
        {
            payload[i] = Encode(pcm[2 * i], pcm[(2 * i) + 1]);
        }

        return bytes;
    }

    public void Dispose()
    {
        // Nothing outside of managed memory.
    }

    private byte Encode(short first, short second)
    {
        var window = _window.AsSpan();
        window[2..].CopyTo(window);
        (window[^2], window[^1]) = (first, second);
        var (odd, even) = (0, 0);
        var filter = G722Tables.Filter;
        for (var i = 0; i < filter.Length; i++)
        {
            odd += window[2 * i] * filter[i];
            even += window[(2 * i) + 1] * filter[^(i + 1)];
        }

        return (byte)((EncodeHigh((even - odd) >> 14) << 6) | EncodeLow((even + odd) >> 14));
    }

    private int EncodeLow(int sample)
    {
        var error = G722Band.Saturate(sample - _low.Prediction);
        var magnitude = error >= 0 ? error : -(error + 1);
        var level = 1;
        while (level < 30 && magnitude >= (G722Tables.Decision[level] * _low.Scale) >> 12)
        {
            level++;
        }

        // ILN and ILP: the codes count down from the innermost level; the two innermost negative ones lie apart.
        var code = error >= 0 ? 62 - level : level <= 2 ? 64 - level : 34 - level;
        var coarse = code >> 2;
        var difference = (_low.Scale * G722Tables.Qm4[coarse]) >> 15;
        _low.AdaptScale(G722Tables.LowWeight[coarse]);
        _low.Adapt(difference);
        return code;
    }

    private int EncodeHigh(int sample)
    {
        var error = G722Band.Saturate(sample - _high.Prediction);
        var magnitude = error >= 0 ? error : -(error + 1);
        var isOuter = magnitude >= (564 * _high.Scale) >> 12;
        var code = (error >= 0 ? 2 : 0) | (isOuter ? 0 : 1);
        var difference = (_high.Scale * G722Tables.Qm2[code]) >> 15;
        _high.AdaptScale(G722Tables.HighWeight[code]);
        _high.Adapt(difference);
        return code;
    }
}
