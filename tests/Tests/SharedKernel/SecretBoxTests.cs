using System.Security.Cryptography;
using System.Text;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.Tests.SharedKernel;

internal sealed class SecretBoxTests
{
    private const string Old = "the old key, with its 32 characters or more";
    private const string New = "the new key, with its 32 characters or more";

    [TestCase("")]
    [TestCase("whsec_abc")]
    [TestCase("ключ и ещё 🗝")]
    public void What_was_sealed_opens(string secret)
    {
        var box = new SecretBox(New);

        Assert.That(box.Open(box.Seal(secret, "whk1"), "whk1"), Is.EqualTo(secret));
    }

    [Test]
    public void A_sealed_secret_shows_nothing_and_never_looks_the_same_twice()
    {
        var box = new SecretBox(New);
        var one = box.Seal("a secret", "whk1");

        Assert.That(Encoding.UTF8.GetString(one), Does.Not.Contain("secret"));
        Assert.That(box.Seal("a secret", "whk1"), Is.Not.EqualTo(one));
    }

    [Test]
    public void Moved_to_another_owner_it_does_not_open()
    {
        var box = new SecretBox(New);
        var sealed1 = box.Seal("a secret", "whk1");

        Assert.That(() => box.Open(sealed1, "whk2"), Throws.InstanceOf<CryptographicException>());
    }

    [Test]
    public void While_keys_rotate_the_old_one_opens_and_the_new_one_seals()
    {
        var before = new SecretBox(Old).Seal("a secret", "whk1");
        var rotating = new SecretBox(New, Old);

        Assert.That(rotating.Open(before, "whk1"), Is.EqualTo("a secret"));
        Assert.That(new SecretBox(New).Open(rotating.Seal("another", "whk1"), "whk1"), Is.EqualTo("another"));
    }

    [Test]
    public void Without_its_key_the_refusal_names_the_settings()
    {
        var before = new SecretBox(Old).Seal("a secret", "whk1");

        Assert.That(() => new SecretBox(New).Open(before, "whk1"), Throws.InstanceOf<CryptographicException>().With.Message.Contains("SECRETS_KEY_PREVIOUS"));
    }

    [Test]
    public void Damage_of_any_bit_and_any_length_is_noticed()
    {
        var box = new SecretBox(New);
        var whole = box.Seal("a secret", "whk1");
        for (var bit = 0; bit < whole.Length * 8; bit++)
        {
            var damaged = whole.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.That(() => box.Open(damaged, "whk1"), Throws.InstanceOf<CryptographicException>(), $"bit {bit}");
        }

        for (var length = 0; length < whole.Length; length++)
        {
            var cut = whole[..length];
            Assert.That(() => box.Open(cut, "whk1"), Throws.InstanceOf<CryptographicException>(), $"{length} bytes");
        }
    }
}
