namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>ITU-T G.722 at 64 kbit/s (mode 1): 16 kHz, one byte for two samples.</summary>
internal sealed class G722Decoder : IVoiceDecoder
{
    private readonly G722Band _low = G722Tables.Low();
    private readonly G722Band _high = G722Tables.High();
    private readonly int[] _window = new int[G722Tables.FilterTaps];

    public int Rate => 16_000;

    public int Decode(ReadOnlySpan<byte> payload, Span<short> pcm)
    {
        var bytes = Math.Min(payload.Length, pcm.Length / 2);
        for (var i = 0; i < bytes; i++)
        {
            Decode(payload[i], out pcm[2 * i], out pcm[(2 * i) + 1]);
        }

        return 2 * bytes;
    }

    public bool TryConceal(ReadOnlySpan<byte> next, Span<short> pcm) => false;

    public void Dispose()
    {
        // Nothing outside of managed memory.
    }

    private void Decode(byte code, out short first, out short second)
    {
        var fine = code & 0x3F;
        var coarse = fine >> 2;
        var low = Math.Clamp(_low.Prediction + ((_low.Scale * G722Tables.Qm6[fine]) >> 15), -16_384, 16_383);
        var difference = (_low.Scale * G722Tables.Qm4[coarse]) >> 15;
        _low.AdaptScale(G722Tables.LowWeight[coarse]);
        _low.Adapt(difference);

        var upper = code >> 6;
        difference = (_high.Scale * G722Tables.Qm2[upper]) >> 15;
        var high = Math.Clamp(_high.Prediction + difference, -16_384, 16_383);
        _high.AdaptScale(G722Tables.HighWeight[upper]);
        _high.Adapt(difference);

        var window = _window.AsSpan();
        window[2..].CopyTo(window);
        (window[^2], window[^1]) = (low + high, low - high);
        var (odd, even) = (0, 0);
        var filter = G722Tables.Filter;
        for (var i = 0; i < filter.Length; i++)
        {
            odd += window[2 * i] * filter[i];
            even += window[(2 * i) + 1] * filter[^(i + 1)];
        }

        (first, second) = ((short)G722Band.Saturate(even >> 11), (short)G722Band.Saturate(odd >> 11));
    }
}
