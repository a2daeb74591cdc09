using System.Net;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Transport.Ice;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

internal sealed class SourceLatchTests
{
    private static readonly RemoteAddress s_declared = Address("192.0.2.1", 4_000);
    private static readonly RemoteAddress s_behindNat = Address("198.51.100.1", 61_234);
    private static readonly RemoteAddress s_stranger = Address("203.0.113.9", 5_555);

    private readonly SourceLatch _latch = new();
    private readonly Dictionary<(RemoteAddress, uint), ushort> _sequences = [];
    private long _now = 1_000;

    [SetUp]
    public void Declare() => _latch.Declare(s_declared, _now);

    [Test]
    public void The_first_packet_decides_where_ours_go()
    {
        Assert.That(From(s_behindNat), Is.EqualTo(Verdict.AcceptNewStream));
        Assert.That(_latch.Address, Is.EqualTo(s_behindNat));
        Assert.That(From(s_behindNat), Is.EqualTo(Verdict.Accept));
    }

    [Test]
    public void A_stranger_cannot_steal_the_stream_not_even_with_its_SSRC_while_it_flows()
    {
        From(s_behindNat);
        for (var i = 0; i < 500; i++)
        {
            Assert.That(From(s_stranger, ssrc: i % 2 == 0 ? 1u : 2), Is.EqualTo(Verdict.Refuse));
            Assert.That(From(s_behindNat), Is.EqualTo(Verdict.Accept));
        }
    }

    [Test]
    public void A_stranger_cannot_steal_a_silent_stream_without_its_address_or_SSRC()
    {
        From(s_behindNat);
        _now += 60_000;
        Assert.That(Enumerable.Range(0, 100).Select(_ => From(s_stranger, ssrc: 2)), Is.All.EqualTo(Verdict.Refuse));
    }

    [Test]
    public void A_stranger_who_was_first_gives_way_to_the_address_in_the_SDP()
    {
        From(s_stranger, ssrc: 9);
        Assert.That(From(s_declared), Is.EqualTo(Verdict.Refuse));
        From(s_stranger, ssrc: 9);
        Assert.That(From(s_declared), Is.EqualTo(Verdict.Refuse));
        From(s_stranger, ssrc: 9);
        Assert.That(From(s_declared), Is.EqualTo(Verdict.AcceptNewStream));
        Assert.That(_latch.Address, Is.EqualTo(s_declared));
    }

    [Test]
    public void A_NAT_that_gives_another_port_is_followed_once_the_old_one_is_silent()
    {
        var moved = Address("198.51.100.1", 61_999);
        From(s_behindNat);
        Assert.That(Enumerable.Range(0, 5).Select(_ => From(moved)), Is.All.EqualTo(Verdict.Refuse));
        _now += 1_000;
        From(moved);
        From(moved);
        From(moved);
        Assert.That(_latch.Address, Is.EqualTo(moved));
    }

    [Test]
    public void Who_is_authenticated_may_move_at_once()
    {
        From(s_behindNat);
        From(s_stranger, isAuthentic: true);
        From(s_stranger, isAuthentic: true);
        Assert.That(From(s_stranger, isAuthentic: true), Is.EqualTo(Verdict.Accept));
        Assert.That(_latch.Address, Is.EqualTo(s_stranger));
    }

    [Test]
    public void A_new_SSRC_is_taken_at_its_second_packet_and_two_in_turn_do_not_fight()
    {
        From(s_declared, ssrc: 1);
        Assert.That(From(s_declared, ssrc: 2), Is.EqualTo(Verdict.Refuse));
        Assert.That(From(s_declared, ssrc: 2), Is.EqualTo(Verdict.AcceptNewStream));
        for (var i = 0; i < 10; i++)
        {
            Assert.That(From(s_declared, ssrc: 3), Is.EqualTo(Verdict.Refuse));
            Assert.That(From(s_declared, ssrc: 2), Is.EqualTo(Verdict.Accept));
        }
    }

    [Test]
    public void A_new_address_in_the_SDP_lets_go_of_the_old_source_which_may_still_be_sending()
    {
        From(s_declared);
        _latch.Declare(s_behindNat, _now);
        Assert.That(_latch.Address, Is.Null);
        Assert.That(From(s_declared), Is.EqualTo(Verdict.Refuse));
        Assert.That(From(s_behindNat, ssrc: 4), Is.EqualTo(Verdict.AcceptNewStream));

        _latch.Declare(s_stranger, _now);
        _now += 500;
        Assert.That(From(s_behindNat, ssrc: 4), Is.EqualTo(Verdict.AcceptNewStream), "the SDP's port changed, the NAT's did not");
    }

    private static RemoteAddress Address(string address, int port) => RemoteAddress.From(new IPEndPoint(IPAddress.Parse(address), port).Serialize());

    private Verdict From(RemoteAddress address, uint ssrc = 1, bool isAuthentic = false)
    {
        var sequence = _sequences[(address, ssrc)] = (ushort)(_sequences.GetValueOrDefault((address, ssrc)) + 1);
        return _latch.Judge(address, ssrc, sequence, isAuthentic, _now += 10);
    }
}
