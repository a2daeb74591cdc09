using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Playout;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// The phone's voice as the room gets it: encoded once, whoever subscribes. Silence that has lasted is passed over as Opus' own
/// discontinuous transmission does, with a frame every 400 ms. The pacing thread's alone.
/// </summary>
internal sealed class ToRoom(int opusComplexity) : IDisposable
{
    private const uint TickSamples = 960;
    private const int HangoverTicks = 20;       // 400 ms
    private const int KeepAliveTicks = 20;
    private const byte Quiet = 75;              // -dBov: below the noise of a telephone line

    private readonly ToneGenerator _tones = new();
    private readonly int[] _mix = new int[PlayoutBuffer.MaxTick];
    private readonly byte[] _frame = new byte[1_275];
    private OpusEncoder? _encoder;
    private int _quietTicks;

    /// <summary>Sends 20 ms.</summary>
    /// <param name="pcm">Is changed.</param>
    public void Send(IOpusOut room, Span<short> pcm, int rate, in Tone tone)
    {
        if (tone.Amplitude > 0)
        {
            Mix(pcm, rate, tone);
        }

        var level = VoiceLevel.Of(pcm);
        _quietTicks = level >= Quiet ? _quietTicks + 1 : 0;
        if (_quietTicks > HangoverTicks && _quietTicks % KeepAliveTicks != 0)
        {
            room.Skip(TickSamples);
            return;
        }

        if (_encoder is null || _encoder.Rate != rate)
        {
            _encoder?.Dispose();
            _encoder = new OpusEncoder(rate, opusComplexity);
        }

        var length = _encoder.Encode(pcm, _frame);
        if (length > 0)
        {
            room.Send(_frame.AsSpan(0, length), TickSamples, level);
        }
        else
        {
            room.Skip(TickSamples);
        }
    }

    public void Dispose() => _encoder?.Dispose();

    private void Mix(Span<short> pcm, int rate, in Tone tone)
    {
        var mix = _mix.AsSpan(0, pcm.Length);
        for (var i = 0; i < pcm.Length; i++)
        {
            mix[i] = pcm[i];
        }

        _tones.Add(tone, mix, rate);
        for (var i = 0; i < pcm.Length; i++)
        {
            pcm[i] = (short)Math.Clamp(mix[i], short.MinValue, short.MaxValue);
        }
    }
}
