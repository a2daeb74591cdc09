using System.Net;
using System.Text;
using VoicePlatform.MediaServer.Sip.Media;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

internal sealed class NegotiationTests
{
    private const string Key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    [Test]
    public void The_offer_lists_every_codec_with_events_in_both_clocks()
    {
        var (sdp, _) = Negotiation().Offer(hold: false);
        Assert.That(sdp, Does.Contain("m=audio 4000 RTP/AVP 96 9 0 8 101 102\r\n"));
        Assert.That(sdp, Does.Contain("c=IN IP4 192.0.2.1\r\n").And.Contain("a=rtpmap:96 opus/48000/2\r\n").And.Contain("a=rtpmap:9 G722/8000\r\n"));
        Assert.That(sdp, Does.Contain("a=rtpmap:101 telephone-event/8000\r\n").And.Contain("a=rtpmap:102 telephone-event/48000\r\n").And.Contain("a=sendrecv\r\n"));
        Assert.That(sdp, Does.Not.Contain("crypto"));
        Assert.That(Negotiation(MediaEncryption.Allow).Offer(hold: false).Sdp, Does.Contain("RTP/AVP ").And.Contain("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:").And.Contain("a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:"));
        Assert.That(Negotiation(MediaEncryption.Require).Offer(hold: false).Sdp, Does.Contain("m=audio 4000 RTP/SAVP "));
    }

    [Test]
    public void The_answer_uses_our_best_codec_under_the_others_numbers()
    {
        var (sdp, plan) = Negotiation().Answer(Offer("m=audio 5000 RTP/AVP 8 0 97 9 96", "a=rtpmap:97 telephone-event/8000", "a=rtpmap:96 L16/44100", "a=ptime:30"));
        Assert.That(sdp, Does.Contain("m=audio 4000 RTP/AVP 9 97\r\n").And.Contain("a=rtpmap:97 telephone-event/8000").And.Contain("a=ptime:20"));
        Assert.That((plan.Codec, plan.Type, plan.EventType, plan.PacketMs), Is.EqualTo((PhoneCodec.G722, (byte)9, (byte?)97, 20)));
        Assert.That(plan.Remote, Is.EqualTo(new IPEndPoint(IPAddress.Parse("198.51.100.7"), 5000)));
        Assert.That(plan.RemoteRtcp!.Port, Is.EqualTo(5001));
        Assert.That(plan.CodecOf(8), Is.EqualTo(PhoneCodec.Pcma), "what was offered may come before the answer is read");
        Assert.That(plan.CodecOf(96), Is.Null);
    }

    [Test]
    public void Events_are_answered_in_the_clock_of_the_codec()
    {
        var (sdp, plan) = Negotiation().Answer(Offer("m=audio 5000 RTP/AVP 107 101 110", "a=rtpmap:107 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000"));
        Assert.That((plan.EventType, plan.EventClock), Is.EqualTo(((byte?)110, 48_000)));
        Assert.That(sdp, Does.Contain("m=audio 4000 RTP/AVP 107 110\r\n"));
    }

    [Test]
    public void A_later_offer_keeps_the_numbers_and_the_session()
    {
        var negotiation = Negotiation();
        var (first, _) = negotiation.Answer(Offer("m=audio 5000 RTP/AVP 107 96", "a=rtpmap:107 opus/48000/2", "a=rtpmap:96 telephone-event/8000"));
        var (second, _) = negotiation.Offer(hold: true);
        Assert.That(second, Does.Contain("m=audio 4000 RTP/AVP 107 9 0 8 96 102\r\n").And.Contain("a=sendonly"));
        Assert.That(Origin(second).Id, Is.EqualTo(Origin(first).Id));
        Assert.That(Origin(second).Version, Is.GreaterThan(Origin(first).Version));

        negotiation = Negotiation();
        negotiation.Answer(Offer("m=audio 5000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"));
        var types = negotiation.Offer(hold: false).Sdp.Split("RTP/AVP ")[1].Split("\r\n")[0].Split(' ');
        Assert.That(types, Is.Unique, "96 was ours for Opus before it was theirs for events");
    }

    [TestCase("a=sendonly", "recvonly", false)]
    [TestCase("a=inactive", "inactive", false)]
    [TestCase("c=IN IP4 0.0.0.0", "recvonly", false)]
    [TestCase("a=recvonly", "sendonly", true)]
    [TestCase("a=sendrecv", "sendrecv", true)]
    public void Hold_is_answered_as_the_standard_says(string attribute, string answer, bool canSend)
    {
        var (sdp, plan) = Negotiation().Answer(Offer("m=audio 5000 RTP/AVP 0", attribute));
        Assert.That(sdp, Does.Contain($"a={answer}\r\n"));
        Assert.That((plan.CanSend, plan.IsHeldThere), Is.EqualTo((canSend, !canSend)));
    }

    [Test]
    public void Other_sections_are_refused_in_their_places()
    {
        var (sdp, _) = Negotiation().Answer(Offer("m=video 6000 RTP/AVP 31", "m=audio 5000 RTP/AVP 0", "m=image 7000 udptl t38", "m=audio 8000 RTP/AVP 8"));
        var lines = sdp.Split("\r\n").Where(l => l.StartsWith("m=", StringComparison.Ordinal));
        Assert.That(lines, Is.EqualTo(new[] { "m=video 0 RTP/AVP 31", "m=audio 4000 RTP/AVP 0", "m=image 0 udptl t38", "m=audio 0 RTP/AVP 8" }));
    }

    [Test]
    public void Keys_are_agreed_by_suite_and_tag()
    {
        var offer = Offer("m=audio 5000 RTP/SAVP 0", $"a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{Key}", $"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{Key}|2^20", $"a=crypto:8 AES_CM_128_HMAC_SHA1_80 inline:{Key}|2^20|1:4");
        var (sdp, plan) = Negotiation(MediaEncryption.Allow).Answer(offer);
        Assert.That(sdp, Does.Contain("m=audio 4000 RTP/SAVP 0\r\n").And.Contain("a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:"));
        Assert.That(plan.ReceiveKey!.KeyAndSalt, Is.EqualTo(Convert.FromBase64String(Key)));
        Assert.That(plan.SendKey!.KeyAndSalt, Is.Not.EqualTo(plan.ReceiveKey.KeyAndSalt));

        var (_, beside) = Negotiation(MediaEncryption.Disable).Answer(Offer("m=audio 5000 RTP/AVP 0", $"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{Key}"));
        Assert.That(beside.SendKey, Is.Null, "keys beside RTP/AVP are an offer, not a demand");
    }

    [TestCase(MediaEncryption.Disable, "m=audio 5000 RTP/AVP 18", "codec")]
    [TestCase(MediaEncryption.Disable, "m=audio 5000 RTP/SAVP 0", "disabled")]
    [TestCase(MediaEncryption.Require, "m=audio 5000 RTP/AVP 0", "required")]
    [TestCase(MediaEncryption.Allow, "m=audio 5000 RTP/SAVP 0", "no key")]
    [TestCase(MediaEncryption.Disable, "m=audio 5000 UDP/TLS/RTP/SAVPF 0", "RTP/AVP")]
    [TestCase(MediaEncryption.Disable, "m=video 5000 RTP/AVP 31", "no audio")]
    [TestCase(MediaEncryption.Disable, "m=audio 0 RTP/AVP 0", "no audio")]
    [TestCase(MediaEncryption.Disable, "m=audio x RTP/AVP 0", "port")]
    [TestCase(MediaEncryption.Disable, "m=audio 5000 RTP/AVP <0>", "malformed")]
    [TestCase(MediaEncryption.Disable, "", "no media section")]
    [TestCase(MediaEncryption.Disable, "m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1", "InterNetworkV6")]
    public void What_cannot_be_accepted_is_refused_with_the_reason(MediaEncryption encryption, string media, string reason)
    {
        Assert.That(() => Negotiation(encryption).Answer(Offer(media)), Throws.InstanceOf<MediaRefusedException>().With.Message.Contains(reason));
    }

    [TestCase("m=audio 0 RTP/AVP 0", "refused")]
    [TestCase("m=audio 5000 RTP/AVP 18", "codec")]
    [TestCase("m=audio 5000 RTP/AVP 0", "required")]
    [TestCase("m=audio 5000 RTP/SAVP 0\r\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:" + Key, "not offered")]
    public void An_answer_that_does_not_fit_is_refused_and_the_call_stays_as_it_was(string media, string reason)
    {
        var negotiation = Negotiation(MediaEncryption.Require);
        negotiation.Offer(hold: false);
        Assert.That(() => negotiation.TakeAnswer(Offer(media)), Throws.InstanceOf<MediaRefusedException>().With.Message.Contains(reason));
        Assert.That(negotiation.Agreed, Is.Null);
        Assert.That(() => Negotiation().TakeAnswer(Offer("m=audio 5000 RTP/AVP 0")), Throws.InstanceOf<MediaRefusedException>());
    }

    [Test]
    public void An_answer_with_a_key_is_encrypted_and_one_without_is_plain_where_that_is_allowed()
    {
        var negotiation = Negotiation(MediaEncryption.Allow);
        negotiation.Offer(hold: false);
        Assert.That(negotiation.TakeAnswer(Offer("m=audio 5000 RTP/AVP 0")).SendKey, Is.Null);
        var plan = negotiation.TakeAnswer(Offer("m=audio 5000 RTP/AVP 0", $"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{Key}"));
        Assert.That(plan.SendKey!.Tag, Is.EqualTo(2));
        Assert.That(plan.MustDecrypt, Is.True);
    }

    [Test]
    public void No_session_description_breaks_the_reader_and_nothing_of_it_reaches_the_answer_as_lines()
    {
        var seeds = new[]
        {
            Offer("m=audio 5000 RTP/SAVP 0 8 9 96 101", $"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{Key}|2^31", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=rtcp:5003", "a=sendrecv", "m=video 1 X 2"),
            Negotiation(MediaEncryption.Allow).Offer(hold: true).Sdp,
        };
        var random = new Random(11);
        var accepted = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var sdp = new StringBuilder(seeds[random.Next(seeds.Length)]);
            for (var edits = random.Next(6); edits >= 0; edits--)
            {
                var at = random.Next(sdp.Length);
                switch (random.Next(4))
                {
                    case 0:
                        sdp[at] = (char)random.Next(1, 300);
                        break;
                    case 1:
                        sdp.Remove(at, random.Next(Math.Min(20, sdp.Length - at)));
                        break;
                    case 2:
                        var copy = sdp.ToString(at, random.Next(Math.Min(200, sdp.Length - at)));
                        sdp.Insert(at, copy);
                        break;
                    default:
                        sdp.Insert(at, random.NextInt64());
                        break;
                }

                sdp.Append(' ');
            }

            try
            {
                var (answer, _) = Negotiation((MediaEncryption)random.Next(3)).Answer(sdp.ToString());
                Assert.That(answer.Split("\r\n").SkipLast(1).All(l => l.Length > 2 && l[1] == '=' && l.All(c => c is >= ' ' and < (char)127)), Is.True, answer);
                accepted++;
            }
            catch (MediaRefusedException e)
            {
                Assert.That(e.Message, Does.EndWith("."));
            }
        }

        Assert.That(accepted, Is.GreaterThan(1_000));
    }

    private static (string Id, int Version) Origin(string sdp)
    {
        var parts = sdp.Split("o=- ")[1].Split(' ');
        return (parts[0], int.Parse(parts[1]));
    }

    private static string Offer(params string[] lines) =>
        $"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{string.Join("\r\n", lines)}\r\n";

    private static MediaNegotiation Negotiation(MediaEncryption encryption = MediaEncryption.Disable) =>
        new(PhoneCodecs.All, encryption, new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4000));
}
