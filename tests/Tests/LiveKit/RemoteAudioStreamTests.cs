using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class RemoteAudioStreamTests
{
    private readonly RemoteAudioStream _stream = new(new AudioStreamFormat(QueueFrames: 3));
    private readonly short[] _read = new short[320];

    [Test]
    public async Task Frames_come_in_order()
    {
        Receive(1);
        Receive(2);

        Assert.That(await NextAsync(), Is.EqualTo(1));
        Assert.That(await NextAsync(), Is.EqualTo(2));
    }

    [Test]
    public async Task A_reader_waits_for_the_next_frame()
    {
        var next = NextAsync();
        Assert.That(next.IsCompleted, Is.False);

        Receive(7);

        Assert.That(await next, Is.EqualTo(7));
    }

    [Test]
    public async Task A_slow_reader_loses_the_oldest_frames_and_they_are_counted()
    {
        for (short i = 1; i <= 5; i++)
        {
            Receive(i);
        }

        Assert.That(_stream.DroppedFrames, Is.EqualTo(2));
        Assert.That((await NextAsync(), await NextAsync(), await NextAsync()), Is.EqualTo((3, 4, 5)));
    }

    [Test]
    public async Task What_was_received_is_read_before_the_end()
    {
        Receive(1);
        _stream.OnEnd();
        Receive(2);

        Assert.That(await NextAsync(), Is.EqualTo(1));
        Assert.That(await _stream.ReadAsync(_read, default), Is.Zero);
    }

    [Test]
    public async Task Disposal_ends_a_waiting_read()
    {
        var read = _stream.ReadAsync(_read, default).AsTask();
        _stream.Dispose();

        Assert.That(await read, Is.Zero);
    }

    [Test]
    public async Task A_cancelled_read_leaves_the_stream_usable()
    {
        using var cancellation = new CancellationTokenSource();
        var read = _stream.ReadAsync(_read, cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        Assert.CatchAsync<OperationCanceledException>(() => read);

        Receive(9);
        Assert.That(await NextAsync(), Is.EqualTo(9));
    }

    [Test]
    public void A_second_reader_is_refused()
    {
        _ = _stream.ReadAsync(_read, default).AsTask();

        Assert.ThrowsAsync<InvalidOperationException>(async () => await _stream.ReadAsync(new short[320], default));
    }

    [Test]
    public async Task A_longer_frame_is_cut_into_frames()
    {
        _stream.OnSamples(new short[640 + 100]);

        Assert.That(
            (await _stream.ReadAsync(_read, default), await _stream.ReadAsync(_read, default), await _stream.ReadAsync(_read, default)),
            Is.EqualTo((320, 320, 100)));
    }

    [Test]
    public async Task Many_frames_pass_from_thread_to_thread_unharmed()
    {
        var stream = new RemoteAudioStream(new AudioStreamFormat(QueueFrames: 1000));
        var writer = new Thread(() =>
        {
            var frame = new short[320];
            for (short i = 1; i <= 20_000; i++)
            {
                Array.Fill(frame, i);
                stream.OnSamples(frame);
                if (i % 500 == 0)
                {
                    Thread.Yield();
                }
            }

            stream.OnEnd();
        });
        writer.Start();
        var (last, count) = (0, 0L);
        while (await stream.ReadAsync(_read, default) is var length && length > 0)
        {
            Assert.That(_read[0], Is.GreaterThan(last).And.EqualTo(_read[319]));
            (last, count) = (_read[0], count + 1);
        }

        writer.Join();
        Assert.That(count + stream.DroppedFrames, Is.EqualTo(20_000));
    }

    [Test]
    public void Receiving_and_reading_allocate_nothing()
    {
        var frame = new short[320];
        PassThrough(frame, 100);
        var before = GC.GetAllocatedBytesForCurrentThread();

        PassThrough(frame, 1000);

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private void PassThrough(short[] frame, int times)
    {
        for (var i = 0; i < times; i++)
        {
            _stream.OnSamples(frame);
#pragma warning disable CA2012 // A frame is there, so the task has its result.
            var length = _stream.ReadAsync(_read, default).GetAwaiter().GetResult();
#pragma warning restore CA2012
            if (length != frame.Length)
            {
                Assert.Fail("A waiting frame was not read at once.");
            }
        }
    }

    private void Receive(short value)
    {
        var frame = new short[320];
        Array.Fill(frame, value);
        _stream.OnSamples(frame);
    }

    private async Task<int> NextAsync()
    {
        Assert.That(await _stream.ReadAsync(_read, default), Is.EqualTo(320));
        return _read[0];
    }
}
