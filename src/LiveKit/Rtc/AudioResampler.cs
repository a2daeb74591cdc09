using System.Text;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.LiveKit.Rtc;

/// <summary>Converts a stream of 16-bit audio from one sample rate to another. It keeps a little back; one thread at a time.</summary>
public sealed class AudioResampler : IDisposable
{
    private readonly FfiClient _client;
    private readonly FfiHandle _handle;
    private readonly int _fromRate;
    private readonly int _toRate;
    private readonly int _channels;

    internal AudioResampler(FfiClient client, int fromRate, int toRate, int channels)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(fromRate);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(toRate);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        (_client, _fromRate, _toRate, _channels) = (client, fromRate, toRate, channels);
        var request = new NewSoxResamplerRequest
        {
            InputRate = fromRate,
            OutputRate = toRate,
            NumChannels = (uint)channels,
            InputDataType = SoxResamplerDataType.SoxrDatatypeInt16I,
            OutputDataType = SoxResamplerDataType.SoxrDatatypeInt16I,
            QualityRecipe = SoxQualityRecipe.SoxrQualityMedium,
        };
        var response = client.Send(new FfiRequest { NewSoxResampler = request }).NewSoxResampler;
        _handle = response.Resampler is { } resampler
            ? new FfiHandle(resampler.Handle)
            : throw new RtcException($"No resampler from {fromRate} to {toRate} Hz: {response.Error}");
    }

    /// <summary>How many samples at most come out of one call that puts in <paramref name="length"/>.</summary>
    public int MaxOutput(int length) => (int)(((long)length * _toRate / _fromRate) + _toRate * _channels / 2);

    /// <summary>Converts the next piece.</summary>
    /// <param name="output">At least <see cref="MaxOutput"/> samples.</param>
    /// <returns>The samples written.</returns>
    public unsafe int Push(ReadOnlySpan<short> samples, Span<short> output)
    {
        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
        fixed (short* data = samples)
        {
            var request = AudioMessages.ResampleRequest(buffer, _handle.Id, (ulong)data, (uint)(samples.Length * sizeof(short)));
            return Copy(_client.Send(request, static response => Result(response, flush: false), "PushSoxResampler"), output);
        }
    }

    /// <summary>Takes what was kept back; the stream is then at its end.</summary>
    public int Flush(Span<short> output)
    {
        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
        var request = AudioMessages.FlushResamplerRequest(buffer, _handle.Id);
        return Copy(_client.Send(request, static response => Result(response, flush: true), "FlushSoxResampler"), output);
    }

    public void Dispose() => _handle.Dispose();

    private static (ulong Data, uint Bytes) Result(ReadOnlySpan<byte> response, bool flush)
    {
        var result = AudioMessages.ResampleResult(response, flush, out var error);
        return error.IsEmpty ? result : throw new RtcException($"The audio could not be resampled: {Encoding.UTF8.GetString(error)}");
    }

    // The library's output stays valid until the next call on the same resampler.
    private static unsafe int Copy((ulong Data, uint Bytes) result, Span<short> output)
    {
        var samples = new ReadOnlySpan<short>((void*)result.Data, (int)(result.Bytes / sizeof(short)));
        samples.CopyTo(output);
        return samples.Length;
    }
}
