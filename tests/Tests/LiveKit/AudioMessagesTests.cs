using Google.Protobuf;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class AudioMessagesTests
{
    [Test]
    public void The_capture_request_is_what_protobuf_would_write()
    {
        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
        var written = AudioMessages.CaptureRequest(buffer, ulong.MaxValue, 0x7FFF_1234_5678_9ABC, 2, 48_000, 960, ulong.MaxValue);

        Assert.That(FfiRequest.Parser.ParseFrom(written), Is.EqualTo(new FfiRequest
        {
            CaptureAudioFrame = new CaptureAudioFrameRequest
            {
                SourceHandle = ulong.MaxValue,
                RequestAsyncId = ulong.MaxValue,
                Buffer = new AudioFrameBufferInfo { DataPtr = 0x7FFF_1234_5678_9ABC, NumChannels = 2, SampleRate = 48_000, SamplesPerChannel = 960 },
            },
        }));
    }

    [Test]
    public void Processing_and_resampling_requests_are_what_protobuf_would_write()
    {
        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];

        Assert.That(FfiRequest.Parser.ParseFrom(AudioMessages.ProcessRequest(buffer, reverse: false, 9, 1000, 320, 16_000, 1)).ApmProcessStream,
            Is.EqualTo(new ApmProcessStreamRequest { ApmHandle = 9, DataPtr = 1000, Size = 320, SampleRate = 16_000, NumChannels = 1 }));
        Assert.That(FfiRequest.Parser.ParseFrom(AudioMessages.ProcessRequest(buffer, reverse: true, 9, 1000, 320, 16_000, 1)).ApmProcessReverseStream.ApmHandle, Is.EqualTo(9));
        Assert.That(FfiRequest.Parser.ParseFrom(AudioMessages.ResampleRequest(buffer, 5, 6, 7)).PushSoxResampler,
            Is.EqualTo(new PushSoxResamplerRequest { ResamplerHandle = 5, DataPtr = 6, Size = 7 }));
        Assert.That(FfiRequest.Parser.ParseFrom(AudioMessages.FlushResamplerRequest(buffer, 5)).FlushSoxResampler.ResamplerHandle, Is.EqualTo(5));
    }

    [Test]
    public void Frame_events_are_read()
    {
        Assert.That(AudioMessages.TryReadStreamEvent(FrameEvent(), out var stream, out var frame), Is.True);
        Assert.That((stream, frame), Is.EqualTo((77UL, (NativeFrame?)new NativeFrame(42, 0x7F00_0000_1000, 1, 16_000, 320))));
    }

    [Test]
    public void The_end_of_a_stream_is_an_event_without_a_frame()
    {
        var message = new FfiEvent { AudioStreamEvent = new AudioStreamEvent { StreamHandle = 77, Eos = new AudioStreamEOS() } }.ToByteArray();

        Assert.That(AudioMessages.TryReadStreamEvent(message, out var stream, out var frame), Is.True);
        Assert.That((stream, frame), Is.EqualTo((77UL, (NativeFrame?)null)));
    }

    [Test]
    public void Capture_callbacks_are_read_with_their_error()
    {
        var message = new FfiEvent { CaptureAudioFrame = new CaptureAudioFrameCallback { AsyncId = 5, Error = "no" } }.ToByteArray();

        Assert.That(AudioMessages.TryReadCaptureCallback(message, out var asyncId, out var error), Is.True);
        Assert.That(asyncId, Is.EqualTo(5));
        Assert.That(error.SequenceEqual("no"u8), Is.True);
    }

    [Test]
    public void Other_events_are_left_to_protobuf()
    {
        var message = new FfiEvent { RoomEvent = new RoomEvent { RoomHandle = 4, Reconnecting = new Reconnecting() } }.ToByteArray();

        Assert.That(AudioMessages.TryReadStreamEvent(message, out _, out _), Is.False);
        Assert.That(AudioMessages.TryReadCaptureCallback(message, out _, out _), Is.False);
    }

    [Test]
    public void The_answers_of_the_audio_tools_are_read()
    {
        var resampled = new FfiResponse { PushSoxResampler = new PushSoxResamplerResponse { OutputPtr = 99, Size = 640 } }.ToByteArray();
        var refused = new FfiResponse { ApmProcessStream = new ApmProcessStreamResponse { Error = "bad" } }.ToByteArray();

        Assert.That(AudioMessages.ResampleResult(resampled, flush: false, out var error), Is.EqualTo((99UL, 640U)));
        Assert.That(error.IsEmpty, Is.True);
        Assert.That(AudioMessages.ProcessError(refused, reverse: false).SequenceEqual("bad"u8), Is.True);
    }

    [Test]
    public void No_bytes_make_the_readers_throw()
    {
        var random = new Random(3);
        var genuine = FrameEvent();
        for (var i = 0; i < 20_000; i++)
        {
            var message = genuine[..random.Next(genuine.Length + 1)];
            for (var n = random.Next(4); n > 0 && message.Length > 0; n--)
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            AudioMessages.TryReadStreamEvent(message, out _, out _);
            AudioMessages.TryReadCaptureCallback(message, out _, out _);
            AudioMessages.ResampleResult(message, flush: false, out _);
        }
    }

    [Test]
    public void The_audio_path_allocates_nothing()
    {
        var message = FrameEvent();
        Run(message, 100);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Run(message, 1000);

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private static void Run(byte[] message, int times)
    {
        Span<byte> buffer = stackalloc byte[AudioMessages.MaxRequestLength];
        for (var i = 0; i < times; i++)
        {
            AudioMessages.TryReadStreamEvent(message, out _, out _);
            AudioMessages.CaptureRequest(buffer, 1, 2, 1, 24_000, 480, (ulong)i);
        }
    }

    private static byte[] FrameEvent() => new FfiEvent
    {
        AudioStreamEvent = new AudioStreamEvent
        {
            StreamHandle = 77,
            FrameReceived = new AudioFrameReceived
            {
                Frame = new OwnedAudioFrameBuffer
                {
                    Handle = new FfiOwnedHandle { Id = 42 },
                    Info = new AudioFrameBufferInfo { DataPtr = 0x7F00_0000_1000, NumChannels = 1, SampleRate = 16_000, SamplesPerChannel = 320 },
                },
            },
        },
    }.ToByteArray();
}
