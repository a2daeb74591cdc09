using System.Net;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer.Sip;

[TestFixture]
internal sealed class DigestTests
{
    private static readonly IPAddress Source = IPAddress.Parse("192.0.2.7");

    private readonly ManualTime _clock = new();
    private readonly DigestVerifier _verifier;

    public DigestTests() => _verifier = new DigestVerifier(_clock, withSha256: true);

    /// <summary>RFC 2617, 3.5 and RFC 7616, 3.9.1.</summary>
    [TestCase("MD5", "Circle Of Life", "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "6629fae49393a05397450978507c4ef1")]
    [TestCase("MD5", "Circle of Life", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec")]
    [TestCase("SHA-256", "Circle of Life", "http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")]
    public void The_examples_of_the_rfcs_come_out(string algorithm, string password, string realm, string nonce, string cnonce, string expected)
    {
        var challenge = new DigestChallenge(realm, nonce) { Algorithm = algorithm, Qop = "auth" };

        Assert.That(challenge.Response("Mufasa", password, "GET", "/dir/index.html", "", "00000001", cnonce), Is.EqualTo(expected));
    }

    [TestCase("Basic realm=\"x\"")]
    [TestCase("Digest realm=\"x\"")]
    [TestCase("Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256")]
    [TestCase("Digest realm=\"x\", nonce=\"y\", qop=\"new\"")]
    [TestCase("Digest")]
    public void What_cannot_be_answered_is_no_challenge(string header) => Assert.That(DigestChallenge.TryParse(header, out _), Is.False);

    [Test]
    public void An_answer_works_once_from_its_address_and_in_time()
    {
        var first = Answered(Ask());
        Assert.That(_verifier.Check(first, "alice", "other", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Wrong));
        Assert.That(_verifier.Check(first, "bob", "secret", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Wrong));
        Assert.That(_verifier.Check(first, "alice", "secret", "r", IPAddress.Loopback), Is.EqualTo(DigestVerifier.Verdict.Wrong));
        Assert.That(_verifier.Check(first, "alice", "secret", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Right));
        Assert.That(_verifier.Check(first, "alice", "secret", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Stale));

        var late = Answered(Ask());
        _clock.Advance(TimeSpan.FromMinutes(6));
        Assert.That(_verifier.Check(late, "alice", "secret", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Stale));

        var forged = Answered(Ask().Select(c => c.Replace("nonce=\"0", "nonce=\"1", StringComparison.Ordinal)));
        Assert.That(_verifier.Check(forged, "alice", "secret", "r", Source), Is.EqualTo(DigestVerifier.Verdict.Wrong));
    }

    [Test]
    public void Broken_answers_are_wrong_and_nothing_worse()
    {
        var random = new Random(11);
        var good = Answered(Ask()).Headers["Authorization"]!;
        for (var i = 0; i < 5_000; i++)
        {
            var bad = good.ToCharArray();
            for (var edits = random.Next(1, 6); edits > 0; edits--)
            {
                bad[random.Next(bad.Length)] = (char)random.Next(32, 127);
            }

            var request = new SipRequest("INVITE", "sip:bob@127.0.0.1");
            request.Headers.Add("Authorization", new string(bad));
            if (new string(bad) != good)
            {
                Assert.DoesNotThrow(() => _verifier.Check(request, "alice", "secret", "r", Source));
            }
        }
    }

    private IEnumerable<string> Ask() => _verifier.Challenge("r", Source, isStale: false).ToList();

    private static SipRequest Answered(IEnumerable<string> challenges)
    {
        var response = new SipResponse(401, "Unauthorized");
        foreach (var challenge in challenges)
        {
            response.Headers.Add("WWW-Authenticate", challenge);
        }

        var client = new DigestClient("alice", "secret");
        Assert.That(client.TryTake(response), Is.True);
        var request = new SipRequest("INVITE", "sip:bob@127.0.0.1");
        client.Authorize(request);
        return request;
    }
}
