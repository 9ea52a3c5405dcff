
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "respond/rdy_cookie.h"


/* a block of the exact size, so that the sanitizer sees one byte too many */

static rdy_str_t
copied(const char *text)
{
    rdy_str_t  s;

    s.len = strlen(text);
    s.data = malloc(s.len ? s.len : 1);
    memcpy(s.data, text, s.len);

    return s;
}


/* "NAME:" and a letter for each flag that is there */

static const char *
scanned(const char *text)
{
    rdy_str_t     s;
    rdy_cookie_t  c;
    static char   out[256];

    s = copied(text);
    rdy_cookie_scan(&s, &c);

    snprintf(out, sizeof(out), "%.*s:%s%s%s", (int) c.name.len, c.name.data,
             c.flags & RDY_COOKIE_SECURE ? "S" : "",
             c.flags & RDY_COOKIE_HTTPONLY ? "H" : "",
             (c.flags & RDY_COOKIE_SAMESITE) == RDY_COOKIE_SAMESITE ? "X" : "");

    free(s.data);

    return out;
}


/* the value with those of the wanted flags that it lacks */

static const char *
flagged(const char *text, rdy_uint_t want)
{
    u_char        *p, *end;
    rdy_str_t      s;
    rdy_cookie_t   c;
    static char    out[256];

    s = copied(text);
    rdy_cookie_scan(&s, &c);

    p = malloc(s.len + RDY_COOKIE_WRITE_LEN);
    end = rdy_cookie_write(p, &s, rdy_cookie_missing(&c, want));
    assert_true(end <= p + s.len + RDY_COOKIE_WRITE_LEN);

    snprintf(out, sizeof(out), "%.*s", (int) (end - p), p);

    free(p);
    free(s.data);

    return out;
}


static void
name_is_found(void **state)
{
    assert_string_equal(scanned("a=b"), "a:");
    assert_string_equal(scanned("  a \t= b"), "a:");
    assert_string_equal(scanned("a=b=c"), "a:");
    assert_string_equal(scanned("__Host-sid=1; Path=/"), "__Host-sid:");
    assert_string_equal(scanned("a="), "a:");
    assert_string_equal(scanned("=b"), ":");
}


static void
name_is_empty_without_equals_sign(void **state)
{
    assert_string_equal(scanned(""), ":");
    assert_string_equal(scanned("   "), ":");
    assert_string_equal(scanned("a"), ":");
    assert_string_equal(scanned("a; b=c"), ":");
    assert_string_equal(scanned(";a=b"), ":");
}


static void
flags_are_found_in_any_case_and_order(void **state)
{
    assert_string_equal(scanned("a=b; Secure; HttpOnly; SameSite=Lax"),
                        "a:SHX");
    assert_string_equal(scanned("a=b;SAMESITE=STRICT;HTTPONLY;SECURE"),
                        "a:SHX");
    assert_string_equal(scanned("a=b; path=/; sEcUrE; max-age=1"), "a:S");
    assert_string_equal(scanned("a=b;httponly"), "a:H");
}


static void
odd_blanks_around_flags(void **state)
{
    assert_string_equal(scanned("a=b;\t \tSecure \t;  HttpOnly  "), "a:SH");
    assert_string_equal(scanned("a=b ; SameSite = Lax"), "a:X");
    assert_string_equal(scanned("a=b;;; ;Secure;"), "a:S");
}


static void
flag_counts_whatever_its_value(void **state)
{
    assert_string_equal(scanned("a=b; Secure=no; HttpOnly=\"x;y\""), "a:SH");
    assert_string_equal(scanned("a=b; SameSite"), "a:X");
    assert_string_equal(scanned("a=b; SameSite=; path=/"), "a:X");
    assert_string_equal(scanned("a=b; SameSite=\"None\""), "a:X");
}


static void
text_within_the_value_does_not_count(void **state)
{
    assert_string_equal(scanned("a=secure"), "a:");
    assert_string_equal(scanned("secure=1"), "secure:");
    assert_string_equal(scanned("secure"), ":");
    assert_string_equal(scanned("secure; path=/"), ":");
    assert_string_equal(scanned("a=b secure httponly"), "a:");
    assert_string_equal(scanned("a=b,secure"), "a:");
    assert_string_equal(scanned("a=samesite=lax"), "a:");
    assert_string_equal(scanned("a=b; path=/secure; comment=httponly"), "a:");
    assert_string_equal(scanned("a=b; insecure; secured; xsamesite=lax"), "a:");
}


static void
quoted_value_hides_semicolons(void **state)
{
    assert_string_equal(scanned("a=\"x; Secure; y\""), "a:");
    assert_string_equal(scanned("a=\"x; Secure; y\"; HttpOnly"), "a:H");
    assert_string_equal(scanned("a= \"x; Secure\" ; HttpOnly"), "a:H");
    assert_string_equal(scanned("a=\"x\\\"; Secure; y\"; HttpOnly"), "a:H");
    assert_string_equal(scanned("a=b; path=\"/; Secure\""), "a:");
}


static void
quote_that_does_not_close_hides_nothing(void **state)
{
    assert_string_equal(scanned("a=\"x; Secure"), "a:S");
    assert_string_equal(scanned("a=\""), "a:");
    assert_string_equal(scanned("a=\"\\"), "a:");
    assert_string_equal(scanned("a=\"\\\""), "a:");
    assert_string_equal(scanned("a=x\"y; Secure; z\""), "a:S");
    assert_string_equal(scanned("a=\"x\"y; Secure"), "a:S");
}


static void
missing_flags_are_written(void **state)
{
    assert_string_equal(flagged("a=b", RDY_COOKIE_SECURE), "a=b; Secure");

    assert_string_equal(flagged("a=b; Path=/", RDY_COOKIE_SECURE
                                |RDY_COOKIE_HTTPONLY|RDY_COOKIE_LAX),
                        "a=b; Path=/; Secure; HttpOnly; SameSite=Lax");

    assert_string_equal(flagged("a=b", RDY_COOKIE_SECURE|RDY_COOKIE_HTTPONLY
                                |RDY_COOKIE_STRICT),
                        "a=b; Secure; HttpOnly; SameSite=Strict");
}


static void
present_flags_stay_as_they_are(void **state)
{
    assert_string_equal(flagged("a=b; secure", RDY_COOKIE_SECURE
                                |RDY_COOKIE_HTTPONLY),
                        "a=b; secure; HttpOnly");

    assert_string_equal(flagged("a=b; SameSite=None; Secure",
                                RDY_COOKIE_STRICT),
                        "a=b; SameSite=None; Secure");

    assert_string_equal(flagged("a=b", 0), "a=b");
}


static void
samesite_none_brings_secure(void **state)
{
    assert_string_equal(flagged("a=b", RDY_COOKIE_NONE),
                        "a=b; Secure; SameSite=None");
    assert_string_equal(flagged("a=b; secure", RDY_COOKIE_NONE),
                        "a=b; secure; SameSite=None");
    assert_string_equal(flagged("a=b; samesite=lax", RDY_COOKIE_NONE),
                        "a=b; samesite=lax");
}


static void
end_of_value_is_trimmed(void **state)
{
    assert_string_equal(flagged("a=b; ", RDY_COOKIE_SECURE), "a=b; Secure");
    assert_string_equal(flagged("a=b;\t;;", RDY_COOKIE_SECURE), "a=b; Secure");
    assert_string_equal(flagged(";", RDY_COOKIE_SECURE), "; Secure");
    assert_string_equal(flagged("a=\"; \"", RDY_COOKIE_SECURE),
                        "a=\"; \"; Secure");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(name_is_found),
        cmocka_unit_test(name_is_empty_without_equals_sign),
        cmocka_unit_test(flags_are_found_in_any_case_and_order),
        cmocka_unit_test(odd_blanks_around_flags),
        cmocka_unit_test(flag_counts_whatever_its_value),
        cmocka_unit_test(text_within_the_value_does_not_count),
        cmocka_unit_test(quoted_value_hides_semicolons),
        cmocka_unit_test(quote_that_does_not_close_hides_nothing),
        cmocka_unit_test(missing_flags_are_written),
        cmocka_unit_test(present_flags_stay_as_they_are),
        cmocka_unit_test(samesite_none_brings_secure),
        cmocka_unit_test(end_of_value_is_trimmed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
