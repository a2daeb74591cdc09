namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>Opus, mono, at the rate the other end of the call has: libopus resamples inside, so nothing here does.</summary>
internal sealed unsafe class OpusEncoder : IVoiceEncoder
{
    private nint _encoder;

    /// <param name="rate">8,000, 16,000 or 48,000 Hz. The bitrate follows: 24, 32 and 40 kbit/s, beyond which speech does not gain.</param>
    /// <param name="complexity">0 to 10.</param>
    public OpusEncoder(int rate, int complexity)
    {
        var error = 0;
        _encoder = LibOpus.opus_encoder_create(rate, 1, LibOpus.Voip, &error);
        if (_encoder == 0)
        {
            throw new InvalidOperationException($"libopus refused an encoder at {rate} Hz with error {error}.");
        }

        Rate = rate;
        _ = LibOpus.opus_encoder_ctl(_encoder, LibOpus.SetBitrate, rate switch { 8_000 => 24_000, 16_000 => 32_000, _ => 40_000 });
        _ = LibOpus.opus_encoder_ctl(_encoder, LibOpus.SetComplexity, complexity);
        _ = LibOpus.opus_encoder_ctl(_encoder, LibOpus.SetSignal, LibOpus.SignalVoice);
    }

    public int Rate { get; }

    public int Encode(ReadOnlySpan<short> pcm, Span<byte> payload)
    {
        ObjectDisposedException.ThrowIf(_encoder == 0, this);
        fixed (short* samples = pcm)
        fixed (byte* data = payload)
        {
            return Math.Max(0, LibOpus.opus_encode(_encoder, samples, pcm.Length, data, payload.Length));
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

/// <inheritdoc cref="OpusEncoder"/>
internal sealed unsafe class OpusDecoder : IVoiceDecoder
{
    private nint _decoder;

    /// <param name="rate">8,000, 16,000 or 48,000 Hz.</param>
    public OpusDecoder(int rate)
    {
        var error = 0;
        _decoder = LibOpus.opus_decoder_create(rate, 1, &error);
        Rate = _decoder != 0 ? rate : throw new InvalidOperationException($"libopus refused a decoder at {rate} Hz with error {error}.");
    }

    public int Rate { get; }

    public int Decode(ReadOnlySpan<byte> payload, Span<short> pcm) =>
        payload.IsEmpty ? 0 : Math.Max(0, Decode(payload, pcm, forwardErrorCorrection: 0));

    /// <summary>The next packet may carry a copy of the lost one (in-band FEC); where it does not, libopus extrapolates.</summary>
    public bool TryConceal(ReadOnlySpan<byte> next, Span<short> pcm) => Decode(next, pcm, next.IsEmpty ? 0 : 1) == pcm.Length;

    public void Dispose()
    {
        if (_decoder != 0)
        {
            LibOpus.opus_decoder_destroy(_decoder);
            _decoder = 0;
        }
    }

    private int Decode(ReadOnlySpan<byte> payload, Span<short> pcm, int forwardErrorCorrection)
    {
        ObjectDisposedException.ThrowIf(_decoder == 0, this);
        fixed (byte* data = payload)
        fixed (short* samples = pcm)
        {
            return LibOpus.opus_decode(_decoder, data, payload.Length, samples, pcm.Length, forwardErrorCorrection);
        }
    }
}
