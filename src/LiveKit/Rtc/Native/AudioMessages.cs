using System.Runtime.InteropServices;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>Samples that lie in the library's memory.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct NativeFrame(ulong BufferHandle, ulong Data, uint Channels, uint SampleRate, uint SamplesPerChannel);

/// <summary>The messages of the audio path, encoded and decoded by hand (field numbers as in the .proto files beside).</summary>
internal static class AudioMessages
{
    /// <summary>Enough for every request below.</summary>
    public const int MaxRequestLength = 96;

    private const int AudioStreamEvent = 4;
    private const int CaptureCallback = 13;

    public static ReadOnlySpan<byte> CaptureRequest(
        Span<byte> buffer, ulong source, ulong data, uint channels, uint sampleRate, uint samplesPerChannel, ulong asyncId)
    {
        var writer = new WireWriter(buffer);
        var request = writer.Begin(27);
        writer.Varint(1, source);
        var frame = writer.Begin(2);
        writer.Varint(1, data);
        writer.Varint(2, channels);
        writer.Varint(3, sampleRate);
        writer.Varint(4, samplesPerChannel);
        writer.End(frame);
        writer.Varint(3, asyncId);
        writer.End(request);
        return writer.Written;
    }

    public static ReadOnlySpan<byte> ProcessRequest(
        Span<byte> buffer, bool reverse, ulong processing, ulong data, uint bytes, uint sampleRate, uint channels)
    {
        var writer = new WireWriter(buffer);
        var request = writer.Begin(reverse ? 52 : 51);
        writer.Varint(1, processing);
        writer.Varint(2, data);
        writer.Varint(3, bytes);
        writer.Varint(4, sampleRate);
        writer.Varint(5, channels);
        writer.End(request);
        return writer.Written;
    }

    public static ReadOnlySpan<byte> ResampleRequest(Span<byte> buffer, ulong resampler, ulong data, uint bytes)
    {
        var writer = new WireWriter(buffer);
        var request = writer.Begin(34);
        writer.Varint(1, resampler);
        writer.Varint(2, data);
        writer.Varint(3, bytes);
        writer.End(request);
        return writer.Written;
    }

    public static ReadOnlySpan<byte> FlushResamplerRequest(Span<byte> buffer, ulong resampler)
    {
        var writer = new WireWriter(buffer);
        var request = writer.Begin(35);
        writer.Varint(1, resampler);
        writer.End(request);
        return writer.Written;
    }

    /// <summary>Reads an event of an audio stream; a null frame is the end of the stream.</summary>
    public static bool TryReadStreamEvent(ReadOnlySpan<byte> ffiEvent, out ulong stream, out NativeFrame? frame)
    {
        (stream, frame) = (0, null);
        var outer = new WireReader(ffiEvent);
        if (!outer.Next() || outer.Field != AudioStreamEvent)
        {
            return false;
        }

        var known = false;
        var reader = new WireReader(outer.Bytes);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    stream = reader.Value;
                    break;
                case 2:
                    frame = ReadFrame(Nested(reader.Bytes, 1));
                    known = true;
                    break;
                case 3:
                    known = true;
                    break;
            }
        }

        return known && stream != 0;
    }

    /// <summary>Reads the callback that says a captured frame's memory is free again.</summary>
    public static bool TryReadCaptureCallback(ReadOnlySpan<byte> ffiEvent, out ulong asyncId, out ReadOnlySpan<byte> error)
    {
        asyncId = 0;
        error = default;
        var outer = new WireReader(ffiEvent);
        if (!outer.Next() || outer.Field != CaptureCallback)
        {
            return false;
        }

        var reader = new WireReader(outer.Bytes);
        while (reader.Next())
        {
            if (reader.Field == 1)
            {
                asyncId = reader.Value;
            }
            else if (reader.Field == 2)
            {
                error = reader.Bytes;
            }
        }

        return asyncId != 0;
    }

    /// <summary>The error text in the answer to <see cref="ProcessRequest"/>; empty when there is none.</summary>
    public static ReadOnlySpan<byte> ProcessError(ReadOnlySpan<byte> response, bool reverse) => Nested(Nested(response, reverse ? 51 : 50), 1);

    /// <summary>Where the answer to a resampling request lies.</summary>
    public static (ulong Data, uint Bytes) ResampleResult(ReadOnlySpan<byte> response, bool flush, out ReadOnlySpan<byte> error)
    {
        error = default;
        ulong data = 0;
        uint bytes = 0;
        var reader = new WireReader(Nested(response, flush ? 35 : 34));
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    data = reader.Value;
                    break;
                case 2:
                    bytes = (uint)reader.Value;
                    break;
                case 3:
                    error = reader.Bytes;
                    break;
            }
        }

        return (data, bytes);
    }

    private static NativeFrame ReadFrame(ReadOnlySpan<byte> ownedBuffer)
    {
        ulong handle = 0, data = 0, channels = 0, rate = 0, samples = 0;
        var reader = new WireReader(ownedBuffer);
        while (reader.Next())
        {
            if (reader.Field == 1)
            {
                var owned = new WireReader(reader.Bytes);
                handle = owned.Next() && owned.Field == 1 ? owned.Value : 0;
                continue;
            }

            var info = new WireReader(reader.Bytes);
            while (reader.Field == 2 && info.Next())
            {
                switch (info.Field)
                {
                    case 1:
                        data = info.Value;
                        break;
                    case 2:
                        channels = info.Value;
                        break;
                    case 3:
                        rate = info.Value;
                        break;
                    case 4:
                        samples = info.Value;
                        break;
                }
            }
        }

        return new NativeFrame(handle, data, (uint)channels, (uint)rate, (uint)samples);
    }

    private static ReadOnlySpan<byte> Nested(ReadOnlySpan<byte> message, int field)
    {
        var reader = new WireReader(message);
        while (reader.Next())
        {
            if (reader.Field == field)
            {
                return reader.Bytes;
            }
        }

        return default;
    }
}
