using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.Tests.MediaServer.Transport;
using Kind = VoicePlatform.LiveKit.Protocol.SignalResponse.MessageOneofCase;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>Publishing and subscribing as far as signalling goes: offers, answers, who is told what and when.</summary>
internal sealed class NegotiationTests
{
    private static SessionDescription Offer(Offers offers, uint id = 1) => new() { Type = "offer", Sdp = offers.ToString(), Id = id };

    private static AddTrackRequest Microphone(string cid) => new() { Cid = cid, Name = cid, Source = TrackSource.Microphone };

    private static Task<SignalClient> PublishAsync(TestServer server, string identity, Offers offers, string cid = "mic") =>
        server.JoinAsync("r", identity, new JoinRequest { AddTrackRequests = { Microphone(cid) }, PublisherOffer = Offer(offers.Send(cid)) });

    private static Task<SignalClient> ListenAsync(TestServer server, string identity, Offers offers) =>
        server.JoinAsync("r", identity, new JoinRequest { PublisherOffer = Offer(offers) });

    [Test]
    public async Task A_join_that_publishes_is_answered_in_order_in_one_round()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        await TestServer.Until(() => alice.Received.Any(r => r.MessageCase is Kind.Answer), "the answer");
        var kinds = alice.Received.Select(r => r.MessageCase).TakeWhile(k => k is not Kind.Answer);
        Assert.That(kinds, Is.EqualTo(new[] { Kind.Join, Kind.RefreshToken, Kind.Update, Kind.TrackPublished, Kind.Update }));
        var published = alice.Received.Single(r => r.MessageCase is Kind.TrackPublished).TrackPublished.Track;
        var track = (await alice.UpdateOfAsync("alice", p => p.Tracks.Count == 1)).Tracks[0];
        Assert.That((track.Sid, track.MimeType, track.Mid, track.Codecs[0].Cid), Is.EqualTo((published.Sid, "audio/red", "5", "mic")));
        var answer = (await alice.NextAsync(Kind.Answer)).Answer;
        Assert.That((answer.Id, answer.Type, answer.MidToTrackId.Count), Is.EqualTo((1u, "answer", 0)));
        Assert.That(answer.Sdp, Does.Contain("a=ice-lite"));
        Assert.That((await server.WebhookAsync("track_published")).Track.Sid, Is.EqualTo(published.Sid));
    }

    [Test]
    public async Task A_subscriber_with_too_few_sections_is_asked_for_more_and_then_has_all()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        await using var carol = await PublishAsync(server, "carol", Offers.First());
        var offers = Offers.First(receiving: 1);
        await using var bob = await ListenAsync(server, "bob", offers);

        await bob.NextAsync(Kind.SubscriptionPermissionUpdate, r => r.SubscriptionPermissionUpdate.Allowed);
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId, Has.Count.EqualTo(1));
        Assert.That((await bob.NextAsync(Kind.MediaSectionsRequirement)).MediaSectionsRequirement.NumAudios, Is.EqualTo(1));
        await bob.SendAsync(new SignalRequest { Offer = Offer(offers.Receive(), 2) });
        var answer = (await bob.NextAsync(Kind.Answer)).Answer;
        Assert.That(answer.Id, Is.EqualTo(2));
        Assert.That(answer.MidToTrackId.Values, Is.Unique.And.Count.EqualTo(2));
        Assert.That(answer.Sdp, Does.Match(@"a=msid:PA_\w+\|TR_\w+ TR_\w+"));
        await alice.NextAsync(Kind.TrackSubscribed);
        await carol.NextAsync(Kind.TrackSubscribed);
    }

    [Test]
    public async Task A_track_that_ends_is_taken_from_everybody_and_its_section_is_used_again()
    {
        await using var server = await TestServer.StartAsync();
        var offers = Offers.First();
        await using var alice = await PublishAsync(server, "alice", offers);
        var listening = Offers.First(receiving: 1);
        await using var bob = await ListenAsync(server, "bob", listening);
        var first = (await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId["0"];

        await alice.SendAsync(new SignalRequest { Offer = Offer(offers.Change(5, "inactive"), 2) });
        await bob.UpdateOfAsync("alice", p => p.Tracks.Count == 0);
        Assert.That((await bob.NextAsync(Kind.MediaSectionsRequirement)).MediaSectionsRequirement.NumAudios, Is.Zero);
        await bob.SendAsync(new SignalRequest { Offer = Offer(listening, 2) });
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId, Is.Empty);
        await server.WebhookAsync("track_unpublished", w => w.Track.Sid == first);

        await alice.SendAsync(new SignalRequest { AddTrack = Microphone("again") });
        await alice.SendAsync(new SignalRequest { Offer = Offer(offers.Change(5, "sendonly", "a=msid:- again\r\n"), 3) });
        await bob.NextAsync(Kind.MediaSectionsRequirement);
        await bob.SendAsync(new SignalRequest { Offer = Offer(listening, 3) });
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId["0"], Is.Not.EqualTo(first));
    }

    [Test]
    public async Task An_offer_may_put_a_new_track_into_the_section_of_an_old_one()
    {
        await using var server = await TestServer.StartAsync();
        var offers = Offers.First();
        await using var alice = await PublishAsync(server, "alice", offers);
        await using var bob = await ListenAsync(server, "bob", Offers.First());
        var first = (await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId["0"];
        await alice.SendAsync(new SignalRequest { AddTrack = Microphone("other") });
        await alice.SendAsync(new SignalRequest { Offer = Offer(offers.Change(5, "sendonly", "a=msid:- other\r\n"), 2) });
        var tracks = (await bob.UpdateOfAsync("alice", p => p.Tracks.Any(t => t.Name == "other"))).Tracks;
        Assert.That(tracks.Select(t => t.Sid), Has.Exactly(1).Items.And.None.EqualTo(first));
    }

    [Test]
    public async Task A_publisher_decides_who_may_subscribe()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        var offers = Offers.First();
        await using var bob = await ListenAsync(server, "bob", offers);
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId, Has.Count.EqualTo(1));

        await alice.SendAsync(new SignalRequest { SubscriptionPermission = new SubscriptionPermission() });
        Assert.That((await bob.NextAsync(Kind.SubscriptionPermissionUpdate)).SubscriptionPermissionUpdate.Allowed, Is.False);
        await bob.NextAsync(Kind.MediaSectionsRequirement);
        await bob.SendAsync(new SignalRequest { Offer = Offer(offers, 2) });
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId, Is.Empty);

        await alice.SendAsync(new SignalRequest
        {
            SubscriptionPermission = new SubscriptionPermission { TrackPermissions = { new TrackPermission { ParticipantIdentity = "bob", AllTracks = true } } },
        });
        Assert.That((await bob.NextAsync(Kind.SubscriptionPermissionUpdate)).SubscriptionPermissionUpdate.Allowed, Is.True);
    }

    [Test]
    public async Task Taking_the_right_to_publish_takes_the_track_back()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        await using var bob = await ListenAsync(server, "bob", Offers.First());
        var sid = (await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId["0"];
        await server.CallAsync("UpdateParticipant", new VideoGrant { RoomAdmin = true, Room = "r" }, new { room = "r", identity = "alice", permission = new { canSubscribe = true } });
        Assert.That((await alice.NextAsync(Kind.TrackUnpublished)).TrackUnpublished.TrackSid, Is.EqualTo(sid));
        await bob.UpdateOfAsync("alice", p => p.Tracks.Count == 0 && !p.Permission.CanPublish);
        await server.WebhookAsync("track_unpublished", w => w.Track.Sid == sid);
    }

    [Test]
    public async Task Without_auto_subscribe_a_track_comes_only_when_asked_for()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        var sid = (await alice.UpdateOfAsync("alice", p => p.Tracks.Count == 1)).Tracks[0].Sid;
        var offers = Offers.First();
        await using var bob = await server.JoinAsync("r", "bob", new JoinRequest { ConnectionSettings = new ConnectionSettings(), PublisherOffer = Offer(offers) });
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId, Is.Empty);
        await bob.SendAsync(new SignalRequest { Subscription = new UpdateSubscription { TrackSids = { sid }, Subscribe = true } });
        await bob.NextAsync(Kind.MediaSectionsRequirement);
        await bob.SendAsync(new SignalRequest { Offer = Offer(offers, 2) });
        Assert.That((await bob.NextAsync(Kind.Answer)).Answer.MidToTrackId.Values, Is.EqualTo(new[] { sid }));
    }

    [Test]
    public async Task An_offer_that_cannot_be_understood_ends_only_its_sender()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        await using var bad = await server.JoinAsync("r", "bad", new JoinRequest { PublisherOffer = new SessionDescription { Type = "offer", Sdp = "nonsense" } });
        Assert.That((await bad.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.JoinFailure));
        await bad.ClosedAsync();
        await alice.SendAsync(new SignalRequest { Ping = 1 });
        await alice.NextAsync(Kind.Pong);
    }

    [Test]
    public async Task A_publisher_that_joins_anew_is_told_to_gather_what_it_offers()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await PublishAsync(server, "alice", Offers.First());
        var first = await FastAsync(alice);
        await alice.NextAsync(Kind.Answer);
        await using var bob = await ListenAsync(server, "bob", Offers.First());
        await using var again = await PublishAsync(server, "alice", Offers.First());
        await using var listener = await ListenAsync(server, "bob", Offers.First());
        Assert.That(
            (first, await FastAsync(bob), await FastAsync(again), await FastAsync(listener)),
            Is.EqualTo((true, true, false, true)));

        static async Task<bool> FastAsync(SignalClient client) => (await client.NextAsync(Kind.Join)).Join.FastPublish;
    }

    [Test]
    public async Task What_was_not_announced_is_not_published()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await ListenAsync(server, "alice", Offers.First().Send("unannounced"));
        await alice.NextAsync(Kind.Answer);
        var listed = await server.CallAsync("GetParticipant", new VideoGrant { RoomAdmin = true, Room = "r" }, new { room = "r", identity = "alice" });
        Assert.That(listed.GetProperty("tracks").GetArrayLength(), Is.Zero);
    }
}
