using VoicePlatform.SharedKernel;

namespace VoicePlatform.Tests.SharedKernel;

internal sealed class E164Tests
{
    [TestCase("+14155550100", true)]
    [TestCase("+4930123456", true)]
    [TestCase("+123456789012345", true)]
    [TestCase("+1234567890123456", false)]
    [TestCase("+1234567", false)]
    [TestCase("+04155550100", false)]
    [TestCase("14155550100", false)]
    [TestCase("+1415555010x", false)]
    [TestCase("+1 4155550100", false)]
    [TestCase("+１４１５５５５０１００", false)]
    [TestCase("", false)]
    [TestCase(null, false)]
    public void A_number_is_a_plus_and_its_digits(string? number, bool valid) => Assert.That(E164.IsValid(number), Is.EqualTo(valid));

    [TestCase("0014155550100", "+14155550100")]
    [TestCase("14155550100", "+14155550100")]
    [TestCase("+1 (415) 555-0100", "+14155550100")]
    [TestCase("anonymous", "anonymous")]
    [TestCase("100", "100")]
    public void What_providers_send_becomes_one_where_it_is_one(string sent, string number) => Assert.That(E164.Normalize(sent), Is.EqualTo(number));
}
