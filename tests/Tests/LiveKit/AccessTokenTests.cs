using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class AccessTokenTests
{
    private static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private readonly TokenVerifier _verifier = new(Key, new FixedClock(Now));

    [Test]
    public void Claims_are_written_as_livekit_writes_them()
    {
        var jwt = Agent().Sign(Key, Now, TimeSpan.FromMinutes(10));

        var expected = JsonNode.Parse("""
            {"kind":"agent","name":"Ada","metadata":"{\"a\":1}","attributes":{"lk.agent.name":"ada"},
             "video":{"roomJoin":true,"room":"r1","canPublish":true,"canPublishData":false,"agent":true,"canPublishSources":["microphone"]},
             "roomConfig":{"agents":[{"agentName":"ada","metadata":"m"}]},
             "iss":"APIkey","nbf":1700000000,"iat":1700000000,"exp":1700000600,"sub":"ada-1"}
            """);
        Assert.That(JsonNode.DeepEquals(Payload(jwt), expected), Is.True, Payload(jwt).ToJsonString());
    }

    [Test]
    public void A_token_reads_back_as_it_was_written()
    {
        Assert.That(_verifier.TryVerify(Agent().Sign(Key, Now), out var verified, out _), Is.True);

        Assert.That(verified!.ApiKeyId, Is.EqualTo("APIkey"));
        Assert.That(verified.ExpiresAt, Is.EqualTo(Now + AccessToken.DefaultLifetime));
        Assert.That(verified.Token.Identity, Is.EqualTo("ada-1"));
        Assert.That(verified.Token.Attributes!["lk.agent.name"], Is.EqualTo("ada"));
        Assert.That(verified.Token.Video!.MayPublishData, Is.False);
        Assert.That(verified.Token.Video.MaySubscribe, Is.True);
        Assert.That(verified.Token.RoomConfig!.Agents.Single().AgentName, Is.EqualTo("ada"));
    }

    [Test]
    public void Absent_permissions_mean_allowed_but_own_metadata_means_refused()
    {
        var permission = new VideoGrant { RoomJoin = true }.ToPermission();

        Assert.That((permission.CanPublish, permission.CanSubscribe, permission.CanPublishData, permission.CanUpdateMetadata), Is.EqualTo((true, true, true, false)));
        Assert.That(new VideoGrant { CanPublish = false }.MayPublishData, Is.False);
        Assert.That(new VideoGrant { CanPublishSources = ["microphone"] }.MayPublishSource(TrackSource.Camera), Is.False);
        Assert.That(new VideoGrant { CanPublishSources = ["microphone"] }.ToPermission().CanPublishSources, Is.EqualTo(new[] { TrackSource.Microphone }));
    }

    [Test]
    public void A_token_made_by_another_library_is_accepted()
    {
        var jwt = Forge("""{"alg":"HS256"}""", """
            {"video":{"room":"r","roomJoin":true,"unknown":{"x":[1]}},"iss":"APIkey","exp":1.7000001e9,"nbf":0,"sub":"js","jti":"js",
             "roomConfig":{"empty_timeout":5,"futureField":true}}
            """, Key.Secret);

        Assert.That(_verifier.TryVerify(jwt, out var verified, out var refusal), Is.True, refusal);
        Assert.That(verified!.Token.Video!.Room, Is.EqualTo("r"));
        Assert.That(verified.Token.RoomConfig!.EmptyTimeout, Is.EqualTo(5));
    }

    [TestCase(-11, "The token has expired.")]
    [TestCase(-9, null)]
    public void Expiry_has_a_small_leeway(int expiresIn, string? expected)
    {
        _verifier.TryVerify(new AccessToken().Sign(Key, Now, TimeSpan.FromSeconds(expiresIn)), out _, out var refusal);

        Assert.That(refusal, Is.EqualTo(expected));
    }

    [Test]
    public void A_token_from_the_future_is_refused()
    {
        Assert.That(_verifier.TryVerify(new AccessToken().Sign(Key, Now.AddMinutes(1)), out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo("The token is not valid yet."));
    }

    [TestCase("""{"alg":"none"}""", "The token is not signed with HS256.")]
    [TestCase("""{"alg":"HS512"}""", "The token is not signed with HS256.")]
    [TestCase("""{"alg":["HS256"]}""", "The token is not signed with HS256.")]
    public void The_algorithm_is_not_the_callers_choice(string header, string expected)
    {
        Assert.That(_verifier.TryVerify(Forge(header, """{"iss":"APIkey","exp":1800000000}""", Key.Secret), out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo(expected));
    }

    [TestCase("""{"iss":"APIkey"}""", "The token has no expiry.")]
    [TestCase("""{"iss":"other","exp":1800000000}""", "The token's API key is not known here.")]
    [TestCase("""{"iss":7,"exp":1800000000}""", "The token's claims are not readable.")]
    [TestCase("""{"iss":"APIkey","exp":"soon"}""", "The token's claims are not readable.")]
    [TestCase("""{"iss":"APIkey","exp":1800000000,"video":"all"}""", "The token's claims are not readable.")]
    [TestCase("""{"iss":"APIkey","exp":1800000000,"roomConfig":{"agents":7}}""", "The token's claims are not readable.")]
    [TestCase("""[]""", "The token's claims are not readable.")]
    public void Wrong_claims_are_refused_with_a_reason(string payload, string expected)
    {
        Assert.That(_verifier.TryVerify(Forge("""{"alg":"HS256"}""", payload, Key.Secret), out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo(expected));
    }

    [Test]
    public void A_wrong_secret_is_refused()
    {
        Assert.That(_verifier.TryVerify(Agent().Sign(Key with { Secret = "another" }, Now), out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo("The token's signature is wrong."));
    }

    [Test]
    public void Joining_needs_an_identity() =>
        Assert.Throws<InvalidOperationException>(() => new AccessToken { Video = new VideoGrant { RoomJoin = true } }.Sign(Key, Now));

    [Test]
    public void Secrets_do_not_print() => Assert.That($"{Key}", Is.EqualTo("APIkey"));

    [Test]
    public void No_mutation_of_a_token_is_accepted_or_throws()
    {
        var random = new Random(20261120);
        var genuine = Agent().Sign(Key, Now);
        for (var i = 0; i < 3000; i++)
        {
            var mutated = genuine.ToCharArray();
            for (var n = random.Next(1, 4); n > 0; n--)
            {
                mutated[random.Next(mutated.Length)] = random.Next(8) == 0 ? (char)random.Next(char.MaxValue) : (char)random.Next(32, 127);
            }

            var token = new string(mutated)[..random.Next(genuine.Length / 2, genuine.Length + 1)];
            // The last character of a base64url digest has two bits that belong to no byte.
            if (token != genuine && token[..^1] != genuine[..^1])
            {
                Assert.That(_verifier.TryVerify(token, out _, out _), Is.False, token);
            }
        }
    }

    [Test]
    public void No_signed_payload_makes_the_verifier_throw()
    {
        var random = new Random(7);
        var payload = Payload(Agent().Sign(Key, Now)).ToJsonString();
        for (var i = 0; i < 3000; i++)
        {
            var mutated = payload.ToCharArray();
            mutated[random.Next(mutated.Length)] = (char)random.Next(32, 127);
            mutated[random.Next(mutated.Length)] = (char)random.Next(32, 127);
            Assert.DoesNotThrow(() => _verifier.TryVerify(Forge("""{"alg":"HS256"}""", new string(mutated), Key.Secret), out _, out _));
        }
    }

    private static AccessToken Agent() => new()
    {
        Identity = "ada-1",
        Name = "Ada",
        Kind = "agent",
        Metadata = """{"a":1}""",
        Attributes = new Dictionary<string, string> { ["lk.agent.name"] = "ada" },
        Video = new VideoGrant { RoomJoin = true, Room = "r1", CanPublish = true, CanPublishData = false, Agent = true, CanPublishSources = ["microphone"] },
        RoomConfig = new RoomConfiguration { Agents = { new RoomAgentDispatch { AgentName = "ada", Metadata = "m" } } },
    };

    private static JsonNode Payload(string jwt) => JsonNode.Parse(Base64Url.DecodeFromChars(jwt.Split('.')[1]))!;

    private static string Forge(string header, string payload, string secret)
    {
        var signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload))}";
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(signed)))}";
    }
}
