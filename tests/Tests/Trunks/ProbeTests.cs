using System.Text;
using VoicePlatform.Trunks;
using VoicePlatform.Trunks.Probe;

namespace VoicePlatform.Tests.Trunks;

internal sealed class ProbeTests
{
    private const string Answer = "SIP/2.0 407 Proxy Authentication Required\r\ni: abc\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nl: 4\r\n\r\nbody";

    [Test]
    public void An_answer_is_read_with_its_compact_headers_and_its_length()
    {
        var bytes = Encoding.ASCII.GetBytes(Answer);
        var parsed = SipAnswer.Parse(bytes)!;
        Assert.That((parsed.Status, parsed.Reason, parsed.Header("Call-ID", "i"), parsed.Body), Is.EqualTo((407, "Proxy Authentication Required", "abc", "body")));
        Assert.That(SipAnswer.LengthOf(bytes), Is.EqualTo(bytes.Length));
        Assert.That(SipAnswer.LengthOf(bytes.AsSpan(0, bytes.Length - 1)), Is.Zero, "not whole yet");
    }

    [Test]
    public void Nothing_that_comes_in_breaks_the_reader()
    {
        var random = new Random(7);
        var good = Encoding.ASCII.GetBytes(Answer);
        for (var n = 0; n < 20_000; n++)
        {
            var bytes = good.ToArray();
            for (var changes = random.Next(1, 8); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            bytes = bytes[..random.Next(bytes.Length + 1)];
            var parsed = SipAnswer.Parse(bytes);
            Assert.That(SipAnswer.LengthOf(bytes), Is.InRange(0, bytes.Length));
            _ = SipDigest.Answer(parsed?.Header("Proxy-Authenticate") ?? "Digest " + Encoding.Latin1.GetString(bytes), "OPTIONS", "sip:x", "u", "p", "c");
        }
    }

    [Test]
    public void Digest_is_that_of_rfc_2617_section_3_5() => Assert.That(
        SipDigest.Answer(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
            "GET", "/dir/index.html", "Mufasa", "Circle Of Life", "0a4f113b"),
        Does.Contain("response=\"6629fae49393a05397450978507c4ef1\"").And.Contain("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""));

    [Test]
    public void Digest_is_that_of_rfc_7616_section_3_9_1() => Assert.That(
        SipDigest.Answer(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            "GET", "/dir/index.html", "Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
        Does.Contain("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""));

    [TestCase("pbx.example.com", "pbx.example.com", null)]
    [TestCase("PBX.example.com:5061", "pbx.example.com", 5061)]
    [TestCase("192.0.2.1:5070", "192.0.2.1", 5070)]
    [TestCase("[2001:db8::1]:5060", "2001:db8::1", 5060)]
    public void An_address_is_a_host_and_perhaps_a_port(string text, string host, int? port)
    {
        Assert.That(SipAddress.TryParse(text, out var address), Is.True);
        Assert.That((address!.Host, address.Port), Is.EqualTo((host, port)));
    }

    [TestCase("sip:pbx.example.com")]
    [TestCase("user@pbx.example.com")]
    [TestCase("pbx.example.com:0")]
    [TestCase("pbx.example.com:70000")]
    [TestCase("pbx.example.com/path")]
    [TestCase("300.1.2.3")]
    [TestCase("host name")]
    [TestCase("")]
    [TestCase(null)]
    public void Anything_else_is_none(string? text) => Assert.That(SipAddress.TryParse(text, out _), Is.False);
}
