using VoicePlatform.MediaServer.Sip.Media.Playout;

namespace VoicePlatform.MediaServer.Sip.Media.Codecs;

/// <summary>The decoders of a phone's stream, by its codec at the codec's own rate. Each is made at its first use and kept: a stream may change back.</summary>
internal sealed class PhoneDecoders : IDecoders, IDisposable
{
    private readonly IVoiceDecoder?[] _decoders = new IVoiceDecoder?[4];

    public int ClockOf(byte kind) => kind == PlayoutBuffer.Noise ? 8_000 : ((PhoneCodec)kind).Clock();

    public IVoiceDecoder Of(byte kind) => _decoders[kind] ??= (PhoneCodec)kind switch
    {
        PhoneCodec.Opus => new OpusDecoder(48_000),
        PhoneCodec.G722 => new G722Decoder(),
        PhoneCodec.Pcmu => G711.Mu,
        _ => G711.A,
    };

    public void Dispose()
    {
        foreach (var decoder in _decoders)
        {
            decoder?.Dispose();
        }
    }
}

/// <summary>Opus from the room, decoded at the rate of the phone's codec.</summary>
internal sealed class TrackDecoders(int rate) : IDecoders, IDisposable
{
    private OpusDecoder? _decoder;

    public int ClockOf(byte kind) => 48_000;

    public IVoiceDecoder Of(byte kind) => _decoder ??= new OpusDecoder(rate);

    public void Dispose() => _decoder?.Dispose();
}
