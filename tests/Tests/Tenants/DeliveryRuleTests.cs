using System.Text.Json;
using System.Text.RegularExpressions;
using VoicePlatform.Tenants.Events;
using VoicePlatform.Tests.Architecture;

namespace VoicePlatform.Tests.Tenants;

internal sealed partial class DeliveryRuleTests
{
    private readonly DeliveryLanes _lanes = new();

    [Test]
    public void A_receiver_has_so_many_places_and_one_that_hangs_has_few()
    {
        _lanes.MarkDue([new("a", "t")]);
        var plan = _lanes.Plan();
        Assert.That(plan, Is.EqualTo(new[] { new LanePlaces("a", DeliveryLanes.PerLane) }));
        _lanes.Claimed(plan[0], DeliveryLanes.PerLane, DeliveryLanes.PerLane);
        Assert.That(_lanes.Plan(), Is.Empty);

        for (var n = 0; n < DeliveryLanes.PerLane; n++)
        {
            Assert.That(_lanes.Ended("a", hung: true), Is.True);
        }

        Assert.That(_lanes.Plan(), Is.EqualTo(new[] { new LanePlaces("a", DeliveryLanes.PerHangingLane) }));
    }

    [Test]
    public void A_tenant_with_many_receivers_leaves_places_to_others()
    {
        _lanes.MarkDue(Enumerable.Range(0, 100).Select(n => new DueLane($"big-{n}", "big")));
        _lanes.MarkDue([new("small", "small")]);
        var plan = _lanes.Plan();
        Assert.That(plan.Where(p => p.Lane != "small").Sum(p => p.Places), Is.EqualTo(DeliveryLanes.PerTenant));
        Assert.That(plan.Single(p => p.Lane == "small").Places, Is.EqualTo(DeliveryLanes.PerLane));
    }

    [Test]
    public void Receivers_take_turns()
    {
        _lanes.MarkDue(Enumerable.Range(0, 8).Select(n => new DueLane($"lane-{n}", "t")));
        var first = _lanes.Plan().ToList();
        foreach (var lane in first)
        {
            _lanes.Claimed(lane, lane.Places, 1);
        }

        // Each sends one and has more: who was served longest ago is first again.
        Assert.That(first, Has.Count.EqualTo(4));
        Assert.That(_lanes.Plan().Take(4).Select(p => p.Lane), Is.EquivalentTo(Enumerable.Range(0, 8).Select(n => $"lane-{n}").Except(first.Select(p => p.Lane))));
    }

    [Test]
    public void What_had_less_than_its_places_is_not_looked_at_again()
    {
        _lanes.MarkDue([new("a", "t")]);
        _lanes.Claimed(_lanes.Plan()[0], found: 3, sending: 2);
        Assert.That(_lanes.Plan(), Is.Empty);
        Assert.That(_lanes.Ended("a", hung: false), Is.False);
    }

    [Test]
    public void Retries_go_on_for_three_days_and_never_sooner_than_asked()
    {
        var total = TimeSpan.Zero;
        for (var attempt = 1; attempt < RetrySchedule.Attempts; attempt++)
        {
            total += RetrySchedule.WaitAfter(attempt, null, 0)!.Value;
        }

        Assert.That(total, Is.InRange(TimeSpan.FromHours(71), TimeSpan.FromHours(73)));
        Assert.That(RetrySchedule.WaitAfter(RetrySchedule.Attempts, null, 0), Is.Null);
        Assert.That(RetrySchedule.WaitAfter(1, TimeSpan.FromMinutes(5), 0), Is.EqualTo(TimeSpan.FromMinutes(5)));
        Assert.That(RetrySchedule.WaitAfter(1, TimeSpan.FromDays(40), 0), Is.EqualTo(TimeSpan.FromDays(1)));
        Assert.That(RetrySchedule.WaitAfter(10, TimeSpan.FromSeconds(1), 1), Is.EqualTo(TimeSpan.FromHours(29 * 1.1)));
    }

    // RFC 8032, section 7.1, test 2.
    [Test]
    public void Ed25519_is_that_of_its_standard()
    {
        var seed = Convert.FromHexString("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        Assert.That(Convert.ToHexStringLower(Ed25519.PublicKey(seed)), Is.EqualTo("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
        Assert.That(
            Convert.ToHexStringLower(Ed25519.Sign(seed, [0x72])),
            Is.EqualTo("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
    }

    // The example of the Standard Webhooks specification.
    [Test]
    public void The_shared_secret_signs_as_the_specification_has_it() =>
        Assert.That(
            WebhookSignature.Sign(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}"u8),
            Is.EqualTo("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));

    [Test]
    public void What_strangers_send_can_be_stored()
    {
        Assert.That(DeliveryAttempt.Printable("a\0b\u001bc"), Is.EqualTo("a b c"));
        Assert.That(DeliveryAttempt.Printable("x" + (char)0xd83d), Is.EqualTo("x\ufffd"));
    }

    [Test]
    public void An_excerpt_cuts_no_character_in_half() => Assert.That(DeliveryAttempt.Printable(new string('x', 499) + "\ud83d\ude00"), Is.EqualTo(new string('x', 499)));

    [Test]
    public void Every_event_that_is_announced_is_in_the_catalogue()
    {
        var announced = (from file in SourceTree.Files("src/Modules")
                         from Match use in Announced.Matches(file.Text)
                         from Match literal in Literal.Matches(use.Value)
                         select (file.Path, Type: literal.Groups[1].Value)).ToList();
        SourceTree.AssertNone(
            announced.Count,
            announced.Where(a => !EventTypes.All.Any(t => t.Name == a.Type)).Select(a => $"{a.Type} in {a.Path}"),
            "These events are not in EventTypes, so nobody can ask for them:");
    }

    [Test]
    public void Every_example_can_be_read() =>
        Assert.That(EventTypes.All.Select(t => JsonDocument.Parse(t.Example).RootElement.ValueKind), Is.All.EqualTo(JsonValueKind.Object));

    [GeneratedRegex(@"new Announce\((?>[^""]*""[a-z_]+\.[a-z_]+"")+")]
    private static partial Regex Announced { get; }

    [GeneratedRegex(@"""([a-z_]+\.[a-z_]+)""")]
    private static partial Regex Literal { get; }
}
