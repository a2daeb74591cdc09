using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Sdp;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>Offers and answers, without a client behind them.</summary>
[TestFixture]
internal sealed class SdpTests : IPeerObserver
{
    private MediaTransport _server = null!;
    private PeerConnection _peer = null!;

    [SetUp]
    public void Start()
    {
        _server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        _server.Start();
        _peer = _server.CreatePeer(this);
    }

    [TearDown]
    public async Task Stop() => await _server.DisposeAsync();

    [Test]
    public void Clients_may_leave_out_silence_unless_they_asked_to_send_it()
    {
        var offer = new Offers().Send("mic").Send("music").Receive().ToString();
        var choices = PublishingChoices.None with { Continuous = new HashSet<string>(StringComparer.Ordinal) { "music" } };
        var sections = _peer.Negotiate(offer, choices).AnswerSdp.Split("m=")[1..];
        Assert.That(sections[0], Does.Contain("a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n"));
        Assert.That(sections[1], Does.Contain("a=fmtp:111 minptime=10;useinbandfec=1\r\n"));
        Assert.That(sections[2], Does.Not.Contain("usedtx"));
    }

    [Test]
    public void Numbers_of_former_offers_do_not_pile_up()
    {
        for (uint i = 1; i < 1_000; i++)
        {
            _peer.Negotiate(new Offers().Send("mic", i).ToString());
        }

        Assert.That(_peer.KnownStreams, Is.EqualTo(1));
    }

    [Test]
    public void The_first_offer_of_the_official_clients_is_answered_section_by_section()
    {
        var answer = _peer.Negotiate(Offers.First().ToString()).AnswerSdp;
        Assert.That(answer, Does.StartWith("v=0\r\n").And.Contain("a=group:BUNDLE 0 1 2 3 4\r\n").And.Contain("a=ice-lite\r\n"));
        Assert.That(answer, Does.Contain($"a=candidate:1 1 udp 2130706431 127.0.0.1 {_server.UdpPort} typ host\r\na=end-of-candidates\r\n"));
        var sections = Sections(answer);
        Assert.That(sections.Select(s => s.Split(' ')[0]), Is.EqualTo(new[] { "audio", "audio", "audio", "video", "application" }));
        foreach (var section in sections)
        {
            Assert.That(section, Does.Contain("a=setup:passive\r\n").And.Contain("a=ice-ufrag:").And.Contain("a=fingerprint:sha-256 "));
            Assert.That(section, Does.Not.Contain("transport-wide-cc").And.Not.Contain("rtcp-fb"));
        }

        Assert.That(sections[0], Does.StartWith("audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n").And.Contain("a=fmtp:63 111/111\r\n").And.Contain("a=inactive\r\n"));
        Assert.That(sections[0], Does.Contain("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n").And.Contain("a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"));
        Assert.That(sections[3], Does.StartWith("video 9 UDP/TLS/RTP/SAVPF 96\r\n").And.Contain("a=rtpmap:96 VP8/90000\r\n").And.Contain("a=inactive\r\n"));
        Assert.That(sections[4], Does.Contain("a=sctp-port:5000\r\n").And.Contain("a=max-message-size:262144\r\n"));
    }

    [Test]
    public void A_published_section_is_received_with_red_first_unless_the_track_is_to_be_plain()
    {
        var offer = new Offers().Send("mic").Send("music").Send("old", withRed: false).Video("sendonly").ToString();
        var negotiated = _peer.Negotiate(offer, PublishingChoices.None with { PlainOpus = new HashSet<string>(StringComparer.Ordinal) { "music" } });
        var sections = Sections(negotiated.AnswerSdp);
        Assert.That(sections[0], Does.StartWith("audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n").And.Contain("a=recvonly\r\n"));
        Assert.That(sections[1], Does.StartWith("audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
        Assert.That(negotiated.Sending.Select(s => (s.Mid, s.Kind, s.TrackId, s.Audio?.Mime)), Is.EqualTo(new[]
        {
            ("0", "audio", "mic", "audio/red"), ("1", "audio", "music", "audio/opus"), ("2", "audio", "old", "audio/opus"), ("3", "video", "", null),
        }));
        Assert.That(_peer.Negotiate(offer).Sending[0].Audio, Is.SameAs(negotiated.Sending[0].Audio), "a track outlives renegotiation");
    }

    [Test]
    public async Task Subscriptions_take_free_sections_and_give_them_back_with_one_inactive_answer_between()
    {
        await using var publisher = _server.CreatePeer(this);
        var source = publisher.Negotiate(new Offers().Send("mic").ToString()).Sending[0].Audio!;
        var offers = new Offers().Receive(2);
        var one = _peer.Subscribe(source, "PA_1", "TR_1");
        _peer.Subscribe(source, "PA_2", "TR_2");
        var three = _peer.Subscribe(source, "PA_3", "TR_3");
        Assert.That(_peer.MissingAudioSections, Is.EqualTo(3));

        var first = _peer.Negotiate(offers.ToString());
        Assert.That(first.MidToTrackId, Is.EqualTo(new Dictionary<string, string> { ["0"] = "TR_1", ["1"] = "TR_2" }));
        Assert.That(first.MissingAudioSections, Is.EqualTo(1));
        Assert.That(three.Mid, Is.Null);

        _peer.Unsubscribe(one);
        Assert.That(_peer.MissingAudioSections, Is.Zero, "the section of the first becomes free");
        Assert.That(_peer.NeedsNegotiation, Is.True);
        var second = _peer.Negotiate(offers.ToString());
        Assert.That(Sections(second.AnswerSdp)[0], Does.Contain("a=inactive\r\n").And.Not.Contain("msid"));
        Assert.That(_peer.NeedsNegotiation, Is.True, "the third still waits");

        var third = _peer.Negotiate(offers.ToString());
        Assert.That(third.MidToTrackId, Is.EqualTo(new Dictionary<string, string> { ["0"] = "TR_3", ["1"] = "TR_2" }));
        Assert.That(_peer.NeedsNegotiation, Is.False);
        Assert.That(Ssrc(third.AnswerSdp, 0), Is.Not.EqualTo(Ssrc(first.AnswerSdp, 0)), "every assignment has an SSRC of its own");
        Assert.That(Ssrc(third.AnswerSdp, 1), Is.EqualTo(Ssrc(first.AnswerSdp, 1)), "a running one keeps it");
    }

    [Test]
    public async Task A_subscription_whose_section_turns_round_moves_to_another()
    {
        // Clients publish in a transceiver that received before, as the recorded ones do.
        await using var publisher = _server.CreatePeer(this);
        var source = publisher.Negotiate(new Offers().Send("mic").ToString()).Sending[0].Audio!;
        var offers = new Offers().Receive(2);
        var subscription = _peer.Subscribe(source, "PA_1", "TR_1");
        _peer.Negotiate(offers.ToString());
        Assert.That(subscription.Mid, Is.EqualTo("0"));
        var turned = _peer.Negotiate(offers.Change(0, "sendonly", "a=msid:- cam\r\n").ToString());
        Assert.That(subscription.Mid, Is.EqualTo("1"));
        Assert.That(turned.Sending.Single().Audio!.Mid, Is.EqualTo("0"));
    }

    [Test]
    public void A_restart_of_ice_gets_new_credentials_and_a_plain_renegotiation_keeps_them()
    {
        var offers = Offers.First();
        var first = Ufrag(_peer.Negotiate(offers.ToString()).AnswerSdp);
        Assert.That(Ufrag(_peer.Negotiate(offers.ToString()).AnswerSdp), Is.EqualTo(first));
        (offers.Ufrag, offers.Password) = ("d/G6", "jZbiUINfmumBdHSmAIS3ejYB");
        Assert.That(Ufrag(_peer.Negotiate(offers.ToString()).AnswerSdp), Is.Not.EqualTo(first));
    }

    [Test]
    public void A_dead_section_is_answered_dead_and_left_out_of_the_bundle()
    {
        var offer = new Offers().Receive(2).Data().ToString();
        var second = offer.IndexOf("m=audio", offer.IndexOf("m=audio", StringComparison.Ordinal) + 1, StringComparison.Ordinal);
        offer = offer[..second] + "m=audio 0" + offer[(second + "m=audio 9".Length)..];
        var answer = _peer.Negotiate(offer.Replace("BUNDLE 0 1 2", "BUNDLE 0 2", StringComparison.Ordinal)).AnswerSdp;
        Assert.That(answer, Does.Contain("a=group:BUNDLE 0 2\r\n"));
        Assert.That(Sections(answer)[1], Does.StartWith("audio 0 "));
    }

    [TestCase("", "no sections")]
    [TestCase("v=1\r\n", "v=0")]
    [TestCase("v=0\r\nnonsense\r\n", "<letter>=<value>")]
    [TestCase("v=0\r\nm=audio x\r\n", "kind, port, protocol")]
    [TestCase("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "ice-ufrag")]
    [TestCase("v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\n", "fingerprint")]
    public void An_offer_that_cannot_be_understood_is_refused_with_a_reason(string offer, string reason) =>
        Assert.That(() => _peer.Negotiate(offer), Throws.TypeOf<SdpException>().With.Message.Contains(reason));

    [Test]
    public void A_refused_offer_leaves_the_peer_as_it_was()
    {
        var offers = Offers.First();
        var before = _peer.Negotiate(offers.ToString()).AnswerSdp;
        offers.Fingerprint = new VoicePlatform.MediaServer.Transport.Dtls.CertificateFingerprint([.. Enumerable.Repeat((byte)7, 32)]).ToString();
        offers.Ufrag = "other";
        Assert.That(() => _peer.Negotiate(offers.ToString()), Throws.TypeOf<SdpException>().With.Message.Contains("certificate"));
        Assert.That(Ufrag(_peer.Negotiate(Offers.First().ToString()).AnswerSdp), Is.EqualTo(Ufrag(before)));
    }

    [Test]
    public async Task Any_mutation_of_an_offer_is_answered_or_refused_and_nothing_else()
    {
        var random = new Random(20_261_120);
        var seed = new Offers().Receive(2).Send("mic", 42).Video().Data().ToString();
        await using var publisher = _server.CreatePeer(this);
        var source = publisher.Negotiate(new Offers().Send("mic").ToString()).Sending[0].Audio!;
        var (answered, refused) = (0, 0);
        for (var i = 0; i < 3_000; i++)
        {
            var text = seed.ToCharArray().ToList();
            for (var edits = random.Next(1, 12); edits > 0; edits--)
            {
                var at = random.Next(text.Count);
                switch (random.Next(3))
                {
                    case 0:
                        text[at] = (char)random.Next(1, 0x250);
                        break;
                    case 1:
                        text.RemoveRange(at, Math.Min(text.Count - at - 1, random.Next(60)));
                        break;
                    default:
                        text.InsertRange(at, seed.Substring(random.Next(seed.Length - 80), random.Next(80)));
                        break;
                }
            }

            var offer = new string([.. text]);
            await using var peer = _server.CreatePeer(this);
            peer.Subscribe(source, "PA", "TR");
            try
            {
                var answer = peer.Negotiate(offer).AnswerSdp;
                Assert.That(Sections(answer), Has.Length.EqualTo(OfferParser.Parse(offer).Sections.Count));
                _ = peer.Negotiate(seed.Replace(Fingerprint(seed), Fingerprint(offer), StringComparison.Ordinal));
                answered++;
            }
            catch (SdpException)
            {
                refused++;
            }
        }

        Assert.That(answered, Is.GreaterThan(100));
        Assert.That(refused, Is.GreaterThan(100));
    }

    void IPeerObserver.OnStateChanged(PeerState state)
    {
    }

    void IPeerObserver.OnData(DataChannelKind channel, ReadOnlySpan<byte> message)
    {
    }

    void IPeerObserver.OnDataChannelOpen(DataChannelKind channel)
    {
    }

    void IPeerObserver.OnAudioStarted(InboundAudio audio)
    {
    }

    private static string[] Sections(string sdp) => sdp.Split("\r\nm=")[1..].Select(s => s + "\r\n").ToArray();

    private static string Fingerprint(string sdp) => Regex.Match(sdp, "a=fingerprint:sha-256 (\\S+)").Groups[1].Value is { Length: > 0 } found ? found : "?";

    private static string Ufrag(string sdp) => Regex.Match(sdp, "a=ice-ufrag:(\\S+)").Groups[1].Value;

    private static string Ssrc(string sdp, int section) => Regex.Match(Sections(sdp)[section], "a=ssrc:(\\d+)").Groups[1].Value;
}
