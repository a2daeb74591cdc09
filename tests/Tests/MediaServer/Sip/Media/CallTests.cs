using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

/// <summary>
/// Session against session over real sockets; what is said at one end is looked for at the other by its frequency. Alone: sound is played at its own pace, and on a machine that
/// is busy with other tests it would have gaps; ./test runs such fixtures before the others.
/// </summary>
[Category("Alone")]
internal sealed class CallTests
{
    [TestCase(PhoneCodec.Pcmu, MediaEncryption.Disable)]
    [TestCase(PhoneCodec.Pcma, MediaEncryption.Disable)]
    [TestCase(PhoneCodec.G722, MediaEncryption.Disable)]
    [TestCase(PhoneCodec.Opus, MediaEncryption.Disable)]
    [TestCase(PhoneCodec.Pcmu, MediaEncryption.Require)]
    [TestCase(PhoneCodec.G722, MediaEncryption.Allow)]
    public async Task Both_hear_each_other_and_only_each_other(PhoneCodec codec, MediaEncryption encryption)
    {
        await using var media = PhoneParty.Start();
        var options = new PhoneSessionOptions { Codecs = [codec], Encryption = encryption };
        using var alice = new PhoneParty(media, options);
        using var bob = new PhoneParty(media, options);
        alice.Call(bob);
        alice.Say(600, 4);
        bob.Say(1_000, 4);
        await Task.WhenAll(alice.HearAsync(0.4), bob.HearAsync(0.4));
        var heard = await Task.WhenAll(alice.HearAsync(0.6), bob.HearAsync(0.6));

        var rate = codec.Rate();
        Assert.That(alice.Rate, Is.EqualTo(rate));
        Assert.That(Sound.Share(heard[0], 1_000, rate), Is.GreaterThan(0.95));
        Assert.That(Sound.Share(heard[1], 600, rate), Is.GreaterThan(0.95));
        Assert.That(Sound.Gaps(heard[0], rate) + Sound.Gaps(heard[1], rate), Is.Zero);
        Assert.That(alice.Session.Codec, Is.EqualTo(codec.Name()));
        Assert.That(alice.Session.IsEncrypted, Is.EqualTo(encryption != MediaEncryption.Disable));
        Assert.That((alice.Beginnings, bob.Beginnings), Is.EqualTo((1, 1)));
        var statistics = alice.Session.Statistics;
        Assert.That((statistics.Lost, statistics.Strangers, statistics.Refused, statistics.NotSent), Is.EqualTo((0L, 0L, 0L, 0L)));
        Assert.That(media.Faults, Is.Zero);
    }

    [TestCase(PhoneCodec.Pcmu)]
    [TestCase(PhoneCodec.G722)]
    [TestCase(PhoneCodec.Opus)]
    public async Task Two_phones_talk_through_a_room_in_Opus(PhoneCodec codec)
    {
        await using var media = PhoneParty.Start();
        using var caller = new PhoneParty(media, PhoneParty.With(codec));
        using var callee = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcma));
        using var legOfCaller = new PhoneParty(media);
        using var legOfCallee = new PhoneParty(media);
        caller.Call(legOfCaller);
        legOfCallee.Call(callee);
        var (up, down) = (new OpusRecorder { Sink = legOfCallee.Session.AddTrack("TR_caller") }, new OpusRecorder { Sink = legOfCaller.Session.AddTrack("TR_callee") });
        legOfCaller.Session.Connect(up);
        legOfCallee.Session.Connect(down);
        caller.Say(500, 5);
        callee.Say(1_300, 5);
        await Task.WhenAll(caller.HearAsync(0.5), callee.HearAsync(0.5));
        var heard = await Task.WhenAll(caller.HearAsync(1), callee.HearAsync(1));
        Assert.That(Sound.Share(heard[0], 1_300, caller.Rate), Is.GreaterThan(0.9), $"{caller.Session.Statistics} {legOfCaller.Session.Statistics}");
        Assert.That(Sound.Share(heard[1], 500, callee.Rate), Is.GreaterThan(0.9));
        Assert.That(Sound.Gaps(heard[0], caller.Rate) + Sound.Gaps(heard[1], callee.Rate), Is.Zero);
        Assert.That(up.Loudest, Is.EqualTo(15).Within(2), "a sine of 8,000 is -15 dBov");
        Assert.That(Sound.Share(up.Decode(8_000).AsSpan(8_000), 500, 8_000), Is.GreaterThan(0.9));
    }

    [Test]
    public async Task The_tracks_of_a_room_are_mixed_and_a_removed_one_is_gone()
    {
        await using var media = PhoneParty.Start();
        using var phone = new PhoneParty(media, PhoneParty.With(PhoneCodec.G722));
        using var leg = new PhoneParty(media, PhoneParty.With(PhoneCodec.G722));
        phone.Call(leg);
        using var stop = new CancellationTokenSource();
        var speakers = new[] { SpeakAsync(leg.Session, "TR_1", 500, stop.Token), SpeakAsync(leg.Session, "TR_2", 1_500, stop.Token) };
        await phone.HearAsync(0.4);
        var both = await phone.HearAsync(0.6);
        leg.Session.RemoveTrack("TR_1");
        await phone.HearAsync(0.3);
        var one = await phone.HearAsync(0.5);
        await stop.CancelAsync();
        await Task.WhenAll(speakers);
        Assert.That(Sound.Share(both, 500, 16_000), Is.InRange(0.4, 0.6));
        Assert.That(Sound.Share(both, 1_500, 16_000), Is.InRange(0.4, 0.6));
        Assert.That(Sound.Share(one, 1_500, 16_000), Is.GreaterThan(0.95));
    }

    [Test]
    public async Task Hold_stops_the_sound_and_the_clock_of_the_timeout_and_resuming_brings_it_back()
    {
        await using var media = PhoneParty.Start();
        var options = PhoneParty.With(PhoneCodec.Pcmu) with { MediaTimeout = TimeSpan.FromMilliseconds(500) };
        using var alice = new PhoneParty(media, options);
        using var bob = new PhoneParty(media, options);
        alice.Call(bob);
        bob.Say(700, 20);
        alice.Say(700, 20);
        await alice.HearAsync(0.5);

        alice.Session.AcceptAnswer(bob.Session.CreateAnswer(alice.Session.CreateReOffer(hold: true)));
        Assert.That((bob.Session.IsOnHold, alice.Session.IsOnHold), Is.EqualTo((true, false)));
        await Task.WhenAll(alice.HearAsync(0.3), bob.HearAsync(0.3));
        var (held, sent) = (await bob.HearAsync(0.7), bob.Session.Statistics.PacketsSent);
        await bob.HearAsync(0.3);
        Assert.That(Sound.Power(held), Is.LessThan(100));
        Assert.That(Sound.Power(alice.Heard().AsSpan(^4_000..)), Is.Zero);
        Assert.That(bob.Session.Statistics.PacketsSent, Is.EqualTo(sent), "who is held sends nothing");
        Assert.That((alice.Timeouts, bob.Timeouts), Is.EqualTo((0, 0)));

        alice.Session.AcceptAnswer(bob.Session.CreateAnswer(alice.Session.CreateReOffer(hold: false)));
        Assert.That(bob.Session.IsOnHold, Is.False);
        await Task.WhenAll(alice.HearAsync(0.3), bob.HearAsync(0.3));
        Assert.That(Sound.Share(await alice.HearAsync(0.5), 700, 8_000), Is.GreaterThan(0.9));
        Assert.That(Sound.Share(await bob.HearAsync(0.5), 700, 8_000), Is.GreaterThan(0.9));
    }

    [Test]
    public async Task The_codec_may_change_in_mid_call()
    {
        await using var media = PhoneParty.Start();
        using var alice = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu, PhoneCodec.G722, PhoneCodec.Opus));
        using var bob = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var room = new ToneRoom(alice.Session, 800);
        alice.Call(bob);
        await bob.HearAsync(0.5);
        foreach (var (offer, codec) in new[] { ("9", PhoneCodec.G722), ("107", PhoneCodec.Opus), ("8 0", PhoneCodec.Pcmu) })
        {
            // Bob's place is taken by a phone whose re-INVITE knows only the one codec.
            using var next = new PhoneParty(media, PhoneParty.With(codec));
            var answer = alice.Session.CreateAnswer(next.Session.CreateOffer());
            next.Session.AcceptAnswer(answer);
            Assert.That(alice.Session.Codec, Is.EqualTo(codec.Name()), offer);
            await next.HearAsync(0.5);
            var heard = await next.HearAsync(0.5);
            Assert.That(next.Rate, Is.EqualTo(codec.Rate()));
            Assert.That(Sound.Share(heard, 800, next.Rate), Is.GreaterThan(0.9), codec.ToString());
            Assert.That(Sound.Gaps(heard, next.Rate), Is.Zero);
        }
    }

    [TestCase(PhoneCodec.Pcmu, MediaEncryption.Disable)]
    [TestCase(PhoneCodec.Opus, MediaEncryption.Require)]
    public async Task Keys_arrive_once_each_in_both_directions(PhoneCodec codec, MediaEncryption encryption)
    {
        await using var media = PhoneParty.Start();
        var options = new PhoneSessionOptions { Codecs = [codec], Encryption = encryption };
        using var alice = new PhoneParty(media, options);
        using var bob = new PhoneParty(media, options);
        alice.Call(bob);
        alice.Say(600, 8);
        await Task.WhenAll(alice.Session.SendDtmfAsync("1w1*#", CancellationToken.None), bob.Session.SendDtmfAsync("ABCD0", CancellationToken.None));
        Assert.That(await PhoneParty.EventuallyAsync(() => bob.Digits.Length == 4 && alice.Digits.Length == 5), Is.True);
        Assert.That((bob.Digits, alice.Digits), Is.EqualTo(("11*#", "ABCD0")));
        Assert.That(bob.Keys.Select(k => k.DurationMs), Is.All.EqualTo(100));
        Assert.That((alice.Session.Statistics.DtmfSent, bob.Session.Statistics.DtmfReceived), Is.EqualTo((4L, 4L)));
        await bob.HearAsync(0.2);
        Assert.That(Sound.Share(await bob.HearAsync(0.4), 600, codec.Rate()), Is.GreaterThan(0.9), "sound goes on after the keys");
    }

    [Test]
    public async Task Keys_that_are_cancelled_or_no_keys_are_told_so()
    {
        await using var media = PhoneParty.Start();
        using var alice = new PhoneParty(media);
        Assert.That(() => alice.Session.SendDtmfAsync("12x", CancellationToken.None), Throws.ArgumentException.With.Message.Contains("'x'"));
        using var stop = new CancellationTokenSource();
        var waiting = alice.Session.SendDtmfAsync("12", stop.Token);       // there is no call yet
        await stop.CancelAsync();
        Assert.That(async () => await waiting, Throws.InstanceOf<OperationCanceledException>());
        var abandoned = alice.Session.SendDtmfAsync("12", CancellationToken.None);
        alice.Dispose();
        Assert.That(async () => await abandoned, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task Silence_for_too_long_is_told_once_and_speech_again_begins_the_wait_anew()
    {
        await using var media = PhoneParty.Start();
        using var alice = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu) with { MediaTimeout = TimeSpan.FromMilliseconds(400) });
        using var bob = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        var offer = alice.Session.CreateOffer();
        var answer = bob.Session.CreateAnswer(offer);
        alice.Session.AcceptAnswer(answer, isEarly: true);
        await alice.HearAsync(0.2);
        bob.Dispose();
        await alice.HearAsync(1);
        Assert.That(alice.Timeouts, Is.Zero, "it may ring for minutes");
        alice.Session.Answered();
        await alice.HearAsync(1.2);
        Assert.That(alice.Timeouts, Is.EqualTo(1));
    }

    [Test]
    public async Task Reports_tell_each_end_how_the_other_hears_it()
    {
        await using var media = PhoneParty.Start();
        var options = new PhoneSessionOptions { Codecs = [PhoneCodec.Pcmu], Encryption = MediaEncryption.Require };
        using var alice = new PhoneParty(media, options);
        using var bob = new PhoneParty(media, options);
        alice.Call(bob);
        TimeSpan RoundTrip() => alice.Session.Statistics.RoundTrip + bob.Session.Statistics.RoundTrip;       // whoever reports second knows it
        Assert.That(await PhoneParty.EventuallyAsync(() => RoundTrip() > TimeSpan.Zero, seconds: 15), Is.True);
        Assert.That(RoundTrip(), Is.LessThan(TimeSpan.FromMilliseconds(500)));
        Assert.That(alice.Session.Statistics.LostThere + bob.Session.Statistics.LostThere, Is.Zero);
    }

    [Test]
    public async Task Tones_are_heard_in_their_cadence()
    {
        await using var media = PhoneParty.Start();
        using var alice = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var bob = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        alice.Call(bob);
        var room = new OpusRecorder();
        bob.Session.Connect(room);
        bob.Session.PlayToRoom(PhoneTone.RingbackEtsi);
        alice.Session.Play(PhoneTone.Busy);
        await bob.HearAsync(0.2);
        var heard = await bob.HearAsync(2);
        Assert.That(Sound.Gaps(heard, 8_000, floor: 200), Is.EqualTo(50).Within(3), "half of it is silence");
        Assert.That(Sound.Share(heard, 480, 8_000) + Sound.Share(heard, 620, 8_000), Is.GreaterThan(0.45));
        alice.Session.Play(PhoneTone.None);
        await bob.HearAsync(0.3);
        Assert.That(Sound.Power(await bob.HearAsync(0.3)), Is.LessThan(100));
        bob.Session.PlayToRoom(PhoneTone.None);
        Assert.That(Sound.Share(room.Decode(8_000).AsSpan(800, 6_000), 425, 8_000), Is.GreaterThan(0.25), "with the busy tone mixed in");
    }

    [Test]
    public async Task A_silent_phone_sends_the_room_next_to_nothing()
    {
        await using var media = PhoneParty.Start();
        using var alice = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var bob = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        alice.Call(bob);
        var room = new OpusRecorder();
        bob.Session.Connect(room);
        await bob.HearAsync(2);
        Assert.That(room.Frames, Is.LessThan(35), "400 ms, then a frame every 400 ms");
        Assert.That(room.Skipped, Is.GreaterThan(60));
    }

    [Test]
    public async Task Ports_are_even_and_when_all_are_taken_the_sentence_names_the_setting()
    {
        using var probe = new System.Net.Sockets.UdpClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        var first = 20_000 + (((System.Net.IPEndPoint)probe.Client.LocalEndPoint!).Port % 10_000 / 4 * 4);
        await using var media = PhoneParty.Start(o => o with { Ports = (first, first + 3) });
        using var one = new PhoneParty(media);
        using var two = new PhoneParty(media);
        Assert.That(new[] { one.Session.Port, two.Session.Port }, Is.EqualTo(new[] { first, first + 2 }));
        Assert.That(() => new PhoneParty(media), Throws.InstanceOf<PhoneMediaException>().With.Message.Contains("EMBEDDED_SIP_RTP_PORTS"));
        one.Dispose();
        using var three = new PhoneParty(media);
        Assert.That(three.Session.Port, Is.EqualTo(first));
    }

    private static async Task SpeakAsync(PhoneSession session, string sid, double hertz, CancellationToken ct)
    {
        using var room = new ToneRoom(session, hertz, sid);
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>A participant of the room who hums, on a thread of its own: the pool is busy with tests.</summary>
    private sealed class ToneRoom : IDisposable
    {
        private readonly Thread _thread;
        private volatile bool _isStopping;

        public ToneRoom(PhoneSession session, double hertz, string sid = "TR_hum")
        {
            _thread = new Thread(() => Hum(session.AddTrack(sid), hertz));
            _thread.Start();
        }

        public void Dispose()
        {
            _isStopping = true;
            _thread.Join();
        }

        private void Hum(IAudioSink sink, double hertz)
        {
            Pacing.Prefer();
            using var encoder = new OpusEncoder(48_000, 5);
            var frame = new byte[1_275];
            var due = System.Diagnostics.Stopwatch.GetTimestamp();
            for (var i = 0; !_isStopping; i++)
            {
                var length = encoder.Encode(Sound.Tone(hertz, 48_000, 960, i * 960L), frame);
                Pacing.SleepUntil(due += 20_000_000);
                sink.OnFrame((ushort)i, (uint)(i * 960), frame.AsSpan(0, length));
            }
        }
    }
}
