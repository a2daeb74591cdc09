using System.Net;
using System.Text;
using VoicePlatform.MediaServer.Transport.Ice;

namespace VoicePlatform.Tests.MediaServer.Transport;

[TestFixture]
internal sealed class StunTests
{
    /// <summary>The sample request of RFC 5769 section 2.1, password VOkJxbRl1RmTxUk/WvJxBt.</summary>
    private const string SampleRequest =
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
        + "000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

    private static readonly byte[] s_password = Encoding.ASCII.GetBytes("VOkJxbRl1RmTxUk/WvJxBt");

    [Test]
    public void The_sample_of_the_standard_is_read_and_authentic()
    {
        Assert.That(StunMessage.TryRead(Convert.FromHexString(SampleRequest), out var message), Is.True);
        Assert.That(message.Type, Is.EqualTo(StunMessage.BindingRequest));
        Assert.That(Encoding.ASCII.GetString(message.Username), Is.EqualTo("evtj:h6vY"));
        Assert.That(message.IsControlled, Is.True);
        Assert.That(message.IsAuthentic(s_password), Is.True);
        Assert.That(message.IsAuthentic("another password here!"u8), Is.False);
    }

    [TestCase("192.0.2.1", "0001a147e112a643")]
    [TestCase("2001:db8:1234:5678:11:2233:4455:6677", "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9")]
    public void An_answer_says_where_the_request_came_from(string address, string expected)
    {
        var endPoint = new IPEndPoint(IPAddress.Parse(address), 32_853);
        var from = RemoteAddress.From(endPoint.Serialize());
        Assert.That(from.ToEndPoint(), Is.EqualTo(endPoint));
        var buffer = new byte[128];
        var transaction = Convert.FromHexString("b7e7a701bc34d686fa87dfae");
        var length = StunMessage.WriteSuccess(buffer, transaction, from, s_password);
        Assert.That(StunMessage.TryRead(buffer.AsSpan(0, length), out var message), Is.True);
        Assert.That(message.IsAuthentic(s_password), Is.True);
        Assert.That(message.Transaction.ToArray(), Is.EqualTo(transaction));

        // RFC 5769 sections 2.2 and 2.3 have the same addresses, port and transaction.
        Assert.That(Convert.ToHexString(message.XorMappedAddress), Is.EqualTo(expected).IgnoreCase);
    }

    [Test]
    public void Mutated_messages_are_refused_or_not_authentic()
    {
        var random = new Random(5769);
        var valid = Convert.FromHexString(SampleRequest);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = valid[..random.Next(valid.Length + 1)].Concat(new byte[random.Next(3) * 4]).ToArray();
            for (var edits = random.Next(1, 6); edits > 0 && bytes.Length > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)random.Next(1, 256);
            }

            if (StunMessage.TryRead(bytes, out var message))
            {
                Assert.That(message.IsAuthentic(s_password) && !bytes.AsSpan().SequenceEqual(valid), Is.False);
            }
        }
    }
}
