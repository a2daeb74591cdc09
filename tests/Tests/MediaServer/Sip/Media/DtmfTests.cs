using VoicePlatform.MediaServer.Sip.Media.Dtmf;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

internal sealed class DtmfTests
{
    private readonly DtmfReceiver _receiver = new();
    private readonly List<DtmfPress> _presses = [];
    private long _now;

    [Test]
    public void A_press_is_told_once_however_often_its_packets_come()
    {
        Event(5, 1_000, 160, marker: true);
        Event(5, 1_000, 160, marker: true);
        Event(5, 1_000, 480);
        Event(5, 1_000, 320);
        Event(5, 1_000, 800, isEnd: true);
        Event(5, 1_000, 800, isEnd: true);
        Event(5, 1_000, 800, isEnd: true);
        Event(5, 1_000, 640);
        Assert.That(_presses, Is.EqualTo(new[] { new DtmfPress('5', 100) }));
    }

    [Test]
    public void The_same_key_twice_is_two_presses_and_old_packets_are_none()
    {
        Press(1, 1_000);
        Press(1, 3_000);
        Event(1, 1_000, 800, isEnd: true);
        Press(11, 5_000);
        Assert.That(Told, Is.EqualTo("11#"));
    }

    [Test]
    public void A_press_is_told_when_all_its_end_packets_are_lost()
    {
        Event(7, 1_000, 160, marker: true);
        Event(7, 1_000, 320);
        Press(8, 4_000);
        Event(9, 9_000, 160, marker: true);
        Assert.That(Told, Is.EqualTo("78"));
        Expire(100);
        Assert.That(Told, Is.EqualTo("78"));
        Expire(100);
        Assert.That(Told, Is.EqualTo("789"));
        Event(9, 9_000, 480, isEnd: true);
        Assert.That(Told, Is.EqualTo("789"));
    }

    [Test]
    public void A_press_is_told_when_only_an_end_packet_comes()
    {
        Event(15, 1_000, 800, isEnd: true);
        Event(15, 1_000, 800, isEnd: true);
        Assert.That(_presses, Is.EqualTo(new[] { new DtmfPress('D', 100) }));
    }

    [Test]
    public void A_sender_that_counts_the_timestamp_up_presses_once()
    {
        Event(3, 1_000, 160, marker: true);
        Event(3, 1_160, 320);
        Event(3, 1_320, 480);
        Event(3, 1_480, 640, isEnd: true);
        Event(3, 1_480, 640, isEnd: true);
        Event(3, 1_640, 640, isEnd: true);
        Assert.That(Told, Is.EqualTo("3"));
    }

    [Test]
    public void A_new_stream_with_smaller_timestamps_is_heard()
    {
        Press(1, 900_000);
        Span<DtmfPress> presses = stackalloc DtmfPress[DtmfReceiver.MaxPresses];
        _receiver.Restart(presses);
        Press(2, 4);
        Assert.That(Told, Is.EqualTo("12"));
    }

    [Test]
    public void Anything_may_come()
    {
        var random = new Random(2);
        Span<DtmfPress> presses = stackalloc DtmfPress[DtmfReceiver.MaxPresses];
        for (var i = 0; i < 100_000; i++)
        {
            var payload = new byte[random.Next(8)];
            random.NextBytes(payload);
            if (payload.Length > 0)
            {
                payload[0] %= 20;
            }

            Assert.That(_receiver.Take(payload, (uint)random.Next(100_000), random.Next(2) == 0, 8_000, _now += random.Next(50), presses), Is.InRange(0, 2));
        }
    }

    [Test]
    public void Keys_are_pressed_for_100_ms_with_three_end_packets_and_a_gap()
    {
        using var sender = new DtmfSender();
        var done = sender.EnqueueAsync("1w2", CancellationToken.None);
        var moments = string.Concat(Enumerable.Range(0, 46).Select(_ => sender.Step().Moment switch
        {
            DtmfMoment.Press => 'P',
            DtmfMoment.End => 'E',
            DtmfMoment.Gap => '-',
            _ => '.',
        }));
        Assert.That(moments, Is.EqualTo("PPPPPEEE--" + new string('-', 25) + "PPPPPEEE--."));
        Assert.That(done.IsCompletedSuccessfully, Is.True);
    }

    private string Told => string.Concat(_presses.Select(p => p.Digit));

    private void Press(byte code, uint timestamp)
    {
        Event(code, timestamp, 160, marker: true);
        Event(code, timestamp, 800, isEnd: true);
    }

    private void Event(byte code, uint timestamp, int duration, bool marker = false, bool isEnd = false)
    {
        Span<DtmfPress> presses = stackalloc DtmfPress[DtmfReceiver.MaxPresses];
        byte[] payload = [code, (byte)(isEnd ? 0x8A : 0x0A), (byte)(duration >> 8), (byte)duration];
        var count = _receiver.Take(payload, timestamp, marker, 8_000, _now += 20, presses);
        _presses.AddRange(presses[..count]);
    }

    private void Expire(long ms)
    {
        Span<DtmfPress> presses = stackalloc DtmfPress[DtmfReceiver.MaxPresses];
        _presses.AddRange(presses[.._receiver.Expire(_now += ms, presses)]);
    }
}
