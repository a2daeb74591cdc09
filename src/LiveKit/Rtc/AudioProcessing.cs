using System.Text;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>What an <see cref="AudioProcessing"/> does.</summary>
public sealed record AudioProcessingOptions(
    bool EchoCancellation = false, bool NoiseSuppression = true, bool HighPassFilter = true, bool GainControl = false);

/// <summary>WebRTC's audio processing: echo cancellation, noise suppression, high-pass filter, gain control. One thread at a time.</summary>
public sealed class AudioProcessing : IDisposable
{
    private readonly FfiClient _client;
    private readonly FfiHandle _handle;

    internal AudioProcessing(FfiClient client, AudioProcessingOptions options)
    {
        var request = new NewApmRequest
        {
            EchoCancellerEnabled = options.EchoCancellation,
            NoiseSuppressionEnabled = options.NoiseSuppression,
            HighPassFilterEnabled = options.HighPassFilter,
            GainControllerEnabled = options.GainControl,
        };
        _client = client;
        _handle = new FfiHandle(client.Send(new FfiRequest { NewApm = request }).NewApm.Apm.Handle);
    }

    /// <summary>Processes captured audio in place.</summary>
    /// <param name="samples">Interleaved; whole tens of milliseconds.</param>
    /// <exception cref="RtcException">The library refused the audio.</exception>
    public void Process(Span<short> samples, int sampleRate, int channels) => Run(samples, sampleRate, channels, reverse: false);

    /// <summary>Shows the processor what is played, which is what the echo is made of.</summary>
    /// <param name="samples">Interleaved; whole tens of milliseconds.</param>
    public void ProcessPlayed(Span<short> samples, int sampleRate, int channels) => Run(samples, sampleRate, channels, reverse: true);

    public void Dispose() => _handle.Dispose();

    private unsafe void Run(Span<short> samples, int sampleRate, int channels, bool reverse)
    {
        var step = sampleRate / 100 * channels;
        if (step <= 0 || samples.Length % step != 0)
        {
            throw new ArgumentException("Audio is processed in whole tens of milliseconds.", nameof(samples));
        }

        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
        fixed (short* data = samples)
        {
            for (var at = 0; at < samples.Length; at += step)
            {
                var request = AudioMessages.ProcessRequest(
                    buffer, reverse, _handle.Id, (ulong)(data + at), (uint)(step * sizeof(short)), (uint)sampleRate, (uint)channels);
                var error = reverse
                    ? _client.Send(request, static response => Text(AudioMessages.ProcessError(response, reverse: true)), "ApmProcessReverseStream")
                    : _client.Send(request, static response => Text(AudioMessages.ProcessError(response, reverse: false)), "ApmProcessStream");
                if (error is not null)
                {
                    throw new RtcException($"The audio could not be processed: {error}");
                }
            }
        }
    }

    private static string? Text(ReadOnlySpan<byte> error) => error.IsEmpty ? null : Encoding.UTF8.GetString(error);
}
