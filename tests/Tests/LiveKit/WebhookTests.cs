using System.Text;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class WebhookTests
{
    private static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private readonly WebhookReceiver _receiver = new(new TokenVerifier(Key, new FixedClock(Now)));

    [Test]
    public void A_signed_webhook_is_read_back()
    {
        var body = WebhookSigner.Serialize(new WebhookEvent { Event = "room_started", Id = "EV_1", CreatedAt = 1_700_000_000, Room = new Room { Name = "r" } });

        Assert.That(Encoding.UTF8.GetString(body), Does.Contain("\"createdAt\": \"1700000000\"").And.Not.Contain("numDropped"));
        Assert.That(_receiver.TryReceive(body, WebhookSigner.Sign(body, Key, Now), out var webhook, out var refusal), Is.True, refusal);
        Assert.That((webhook!.Event, webhook.Room.Name), Is.EqualTo(("room_started", "r")));
    }

    [Test]
    public void Fields_and_names_of_a_newer_server_are_tolerated()
    {
        var body = """{"event":"egress_ended","ingressInfo":{"x":1},"room":{"name":"r","newThing":[{"a":null}]},"id":"EV"}"""u8;

        Assert.That(_receiver.TryReceive(body, "Bearer " + WebhookSigner.Sign(body, Key, Now), out var webhook, out _), Is.True);
        Assert.That(webhook!.Room.Name, Is.EqualTo("r"));
    }

    [Test]
    public void Another_body_is_refused()
    {
        var authorization = WebhookSigner.Sign("""{"event":"room_started"}"""u8, Key, Now);

        Assert.That(_receiver.TryReceive("""{"event":"room_finished"}"""u8, authorization, out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo("The webhook's token was made for another body."));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("Bearer ")]
    [TestCase("a.b.c")]
    public void No_token_no_webhook(string? authorization) =>
        Assert.That(_receiver.TryReceive("{}"u8, authorization, out _, out _), Is.False);

    [Test]
    public void A_join_token_is_no_webhook_token()
    {
        var join = new AccessToken { Identity = "x", Video = new VideoGrant { RoomJoin = true } }.Sign(Key, Now);

        Assert.That(_receiver.TryReceive("{}"u8, join, out _, out _), Is.False);
    }

    [TestCase("not json")]
    [TestCase("""{"event":5}""")]
    [TestCase("""{"createdAt":"99999999999999999999"}""")]
    public void A_body_that_is_no_event_is_refused_not_thrown(string text)
    {
        var body = Encoding.UTF8.GetBytes(text);

        Assert.That(_receiver.TryReceive(body, WebhookSigner.Sign(body, Key, Now), out _, out var refusal), Is.False);
        Assert.That(refusal, Is.EqualTo("The webhook's body is not a webhook event."));
    }

    [Test]
    public void No_signed_body_makes_the_receiver_throw()
    {
        var random = new Random(11);
        var genuine = WebhookSigner.Serialize(new WebhookEvent { Event = "participant_left", Participant = new ParticipantInfo { Identity = "i", DisconnectReason = DisconnectReason.RoomDeleted, JoinedAt = 5 } });
        for (var i = 0; i < 2000; i++)
        {
            var body = (byte[])genuine.Clone();
            body[random.Next(body.Length)] = (byte)random.Next(256);
            body[random.Next(body.Length)] = (byte)random.Next(32, 127);
            Assert.DoesNotThrow(() => _receiver.TryReceive(body, WebhookSigner.Sign(body, Key, Now), out _, out _));
        }
    }
}
