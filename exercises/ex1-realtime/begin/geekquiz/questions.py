"""The questions: a title, four options in the order they are shown, and the right one."""

QUESTIONS = [
    (
        "Whose notes on the Analytical Engine, of 1843, hold what is often called the first computer program?",
        ["Charles Babbage", "Ada Lovelace", "George Boole", "Mary Somerville"],
        "Ada Lovelace",
    ),
    (
        "Which of Konrad Zuse's machines, shown in 1941, was the first working programmable automatic computer?",
        ["Z1", "Z2", "Z3", "Z4"],
        "Z3",
    ),
    (
        "Where did Colossus help to break ciphers during the Second World War?",
        ["Bletchley Park", "Los Alamos", "Princeton", "Peenemünde"],
        "Bletchley Park",
    ),
    (
        "Who described the memex, a desk that follows links between documents, in 1945?",
        ["Alan Turing", "Claude Shannon", "John von Neumann", "Vannevar Bush"],
        "Vannevar Bush",
    ),
    (
        "In which year was ENIAC shown to the public?",
        ["1936", "1941", "1946", "1951"],
        "1946",
    ),
    (
        "What was taped into the log book of the Harvard Mark II in 1947, as the first bug actually found?",
        ["A spider", "A moth", "A beetle", "A fly"],
        "A moth",
    ),
    (
        "In which year did Bell Labs first show a working transistor?",
        ["1927", "1937", "1947", "1957"],
        "1947",
    ),
    (
        "Who wrote the A-0 system, often called the first compiler, in 1952?",
        ["Grace Hopper", "John Backus", "Jean Bartik", "John McCarthy"],
        "Grace Hopper",
    ),
    (
        "Which language did John Backus and his team at IBM bring out in 1957?",
        ["COBOL", "Lisp", "ALGOL", "Fortran"],
        "Fortran",
    ),
    (
        "Who coined the word “hypertext” in the 1960s?",
        ["Tim Berners-Lee", "Alan Kay", "Ted Nelson", "Marshall McLuhan"],
        "Ted Nelson",
    ),
    (
        "Which device did Douglas Engelbart show to the public in 1968?",
        ["The laser printer", "The mouse", "The floppy disk", "The light pen"],
        "The mouse",
    ),
    (
        "Who led the team at MIT that wrote the on-board flight software of the Apollo missions?",
        ["Margaret Hamilton", "Katherine Johnson", "Barbara Liskov", "Frances Allen"],
        "Margaret Hamilton",
    ),
    (
        "The first message on the ARPANET was to be LOGIN. How much arrived before the computer crashed?",
        ["L", "LO", "LOG", "LOGI"],
        "LO",
    ),
    (
        "Where was the first Unix written, in 1969?",
        ["MIT", "Xerox PARC", "Berkeley", "Bell Labs"],
        "Bell Labs",
    ),
    (
        "Who put the @ into e-mail addresses, in 1971?",
        ["Jon Postel", "Vint Cerf", "Ray Tomlinson", "Bob Kahn"],
        "Ray Tomlinson",
    ),
    (
        "Which was Intel's first microprocessor, on sale from 1971?",
        ["4004", "8008", "8080", "8086"],
        "4004",
    ),
    (
        "Who designed the programming language C?",
        ["Brian Kernighan", "Dennis Ritchie", "Bjarne Stroustrup", "Niklaus Wirth"],
        "Dennis Ritchie",
    ),
    (
        "Who described Ethernet in a memo at Xerox PARC in 1973?",
        ["Butler Lampson", "Alan Kay", "Charles Thacker", "Bob Metcalfe"],
        "Bob Metcalfe",
    ),
    (
        "When did IBM introduce its Personal Computer?",
        ["1975", "1978", "1981", "1984"],
        "1981",
    ),
    (
        "In which year did the ARPANET change over to TCP/IP?",
        ["1983", "1987", "1991", "1995"],
        "1983",
    ),
    (
        "Which .com domain was the first to be registered, in March 1985?",
        ["ibm.com", "symbolics.com", "xerox.com", "apple.com"],
        "symbolics.com",
    ),
    (
        "Where did Tim Berners-Lee work when he proposed the World Wide Web in 1989?",
        ["MIT", "Oxford", "CERN", "Bell Labs"],
        "CERN",
    ),
    (
        "On which computer did the first web server run?",
        ["An Apple Macintosh", "A Sun SPARCstation", "A DEC VAX", "A NeXT"],
        "A NeXT",
    ),
    (
        "What does the name of the language Python honour?",
        ["A comedy group", "A snake", "A Greek oracle", "A rocket"],
        "A comedy group",
    ),
    (
        "When did Linus Torvalds announce the kernel that became Linux?",
        ["1985", "1988", "1991", "1994"],
        "1991",
    ),
    (
        "What did the camera watch that became the first webcam, at the University of Cambridge?",
        ["A car park", "A coffee pot", "A fish tank", "A printer"],
        "A coffee pot",
    ),
    (
        "Which browser of 1993 showed pictures within the text and made the Web popular?",
        ["Mosaic", "Lynx", "Opera", "Internet Explorer"],
        "Mosaic",
    ),
    (
        "About how long did Brendan Eich take for the first version of JavaScript, in 1995?",
        ["Ten hours", "Ten days", "Ten weeks", "Ten months"],
        "Ten days",
    ),
    (
        "What does the HTTP status 418, an April Fools' joke of 1998, say?",
        ["Gone fishing", "Too many cookies", "Out of cheese", "I'm a teapot"],
        "I'm a teapot",
    ),
    (
        "In which year did Wikipedia go online?",
        ["1998", "2001", "2004", "2007"],
        "2001",
    ),
    (
        "Which word did Jesse James Garrett coin in 2005 for pages that fetch data in the background?",
        ["Mashup", "Comet", "Ajax", "Flash"],
        "Ajax",
    ),
    (
        "In which year was the WebSocket protocol published as RFC 6455?",
        ["2011", "2014", "2017", "2020"],
        "2011",
    ),
]
